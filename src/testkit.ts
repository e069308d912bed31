/**
 * The test kit proves that a store or a coordinator keeps its whole contract, under any test runner.
 *
 * ```ts
 * import { test } from "node:test";
 * import { testMessageStore } from "chat-handler/testkit";
 *
 * testMessageStore("my store", { create: () => createMyStore(), threads: true }, { test });
 * ```
 *
 * `testCoordinator` does the same for a coordinator.
 *
 * It needs no dependency and no particular runtime. It has cases for everything that the contract guarantees, except for cost: measure
 * with a benchmark how a call gets slower with the length of a thread or the number of threads.
 */
export { messageStoreCases, testMessageStore } from "./lib/testkit/kit.ts";
export type { CaseOptions, TestFunction, TestOptions } from "./lib/testkit/register.ts";
export { InvariantError } from "./lib/testkit/run.ts";
export type { KitCase } from "./lib/testkit/run.ts";
export type { MessageStoreSubject, Subject, ThreadStoreSubject } from "./lib/testkit/subject.ts";
export { coordinatorCases, testCoordinator } from "./lib/testkit/coordinator/kit.ts";
export type { CoordinatorSubject, CoordinatorTimes } from "./lib/testkit/coordinator/subject.ts";
