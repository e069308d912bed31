/**
 * The store test kit: proves that a message store keeps the whole contract, under any test runner.
 *
 * ```ts
 * import { test } from "node:test";
 * import { testMessageStore } from "chat-handler/testkit";
 *
 * testMessageStore("my store", { create: () => createMyStore(), threads: true }, { test });
 * ```
 *
 * It needs no dependency and no runtime of its own. What costs grow with (a thread's length, the number of threads) is
 * for a benchmark to show; everything else the contract promises is a case here.
 */
export { messageStoreCases, testMessageStore } from "./lib/testkit/kit.ts";
export type { CaseOptions, TestFunction, TestOptions } from "./lib/testkit/kit.ts";
export { StoreInvariantError } from "./lib/testkit/case.ts";
export type { StoreCase } from "./lib/testkit/case.ts";
export type { MessageStoreSubject, Subject, ThreadStoreSubject } from "./lib/testkit/subject.ts";
