import { expect, test, vi } from "vitest";
import { createMemoryStore } from "../../src/index.ts";
import { createThreadHandler } from "../../src/threads.ts";
import { expectError } from "../support/chat.ts";
import { faults, secretStoreError } from "../support/faulty-store.ts";
import { failOnUnhandledErrors } from "../support/unhandled-errors.ts";
import { ada, answer, ownerInHeader, prompt, startThreads, variants } from "./setup.ts";

failOnUnhandledErrors();

const filled = { id: "r1", role: "assistant", content: "Answer 1<context>[{}]</context>" };

/** Every store call of every route. */
const calls: [path: string, init: { method?: string; body?: unknown }, methods: string[]][] = [
  ["/get", {}, ["listThreads"]],
  ["/get/t", {}, ["getThread", "listMessages"]],
  ["/create", { method: "POST", body: { messages: [{ id: "m", role: "user", content: "Hello" }] } }, ["appendMessages", "getThread"]],
  ["/update/t", { method: "PATCH", body: { title: "New" } }, ["renameThread", "getThread"]],
  ["/message", { method: "PATCH", body: { threadId: "t", message: filled } }, ["listMessages", "updateMessage"]],
  ["/delete/t", { method: "DELETE" }, ["deleteThread"]],
];

const cases = variants.flatMap((via) => calls.flatMap(([path, init, methods]) => methods.map((method) => ({ via, path, init, method }))));

test.each(cases)("$via: $path survives a fault of $method()", async ({ via, path, init, method }) => {
  for (const fault of faults) {
    const { send, store, backingStore, errors } = await startThreads(via, { timeouts: { store: 25 } });
    await backingStore.appendMessages(ada("t"), [prompt(1), answer(1)], { title: "Old" });
    store.injectFaults((call) => (call.method === method ? fault : undefined));
    const error = await expectError(await send(path, init), 503, "store_failed");
    expect(error.message).not.toContain("ECONNREFUSED");
    expect(errors).toHaveLength(1);
    const cause = fault.endsWith("hang") ? `The store's ${method}() took longer than 25 ms.` : secretStoreError;
    expect(errors[0]?.cause).toEqual(new Error(cause));

    // Nothing is half stored, and the same request succeeds once the store works.
    const isThere = (await backingStore.getThread(ada("t"))) !== undefined;
    expect(await backingStore.listMessages(ada("t"))).toHaveLength(isThere ? 2 : 0);
    store.injectFaults();
    const { status } = await send(path, init);
    expect(status).toBe(!isThere ? 404 : path === "/message" || path === "/delete/t" ? 204 : 200);
  }
});

test("passes each error to onError, with the known context", async () => {
  const reported: [code: string, threadId: string | undefined, owner: string | undefined][] = [];
  const { send, store, backingStore } = await startThreads("direct", {
    onError: ({ code }, { threadId, owner }) => void reported.push([code, threadId, owner]),
  });
  await backingStore.appendMessages(ada("t"), [prompt(1), answer(1)]);
  await send("/nowhere");
  await send("/get/unknown");
  await send("/update/t", { method: "PATCH", body: { title: 1 } });
  store.injectFaults(() => "reject");
  await send("/get");
  await send("/get/t");
  await send("/message", { method: "PATCH", body: { threadId: "t", message: filled } });
  expect(reported).toEqual([
    ["not_found", undefined, undefined],
    ["not_found", "unknown", "ada"],
    ["invalid_request", undefined, undefined],
    ["store_failed", undefined, "ada"],
    ["store_failed", "t", "ada"],
    ["store_failed", "t", "ada"],
  ]);
});

test("an onError that throws changes nothing", async () => {
  for (const onError of [() => raise(), async () => raise()]) {
    const { send } = await startThreads("direct", { onError });
    await expectError(await send("/get/unknown"), 404, "not_found");
  }
});

test("logs errors of the server, and none that a client can cause", async () => {
  const log = vi.spyOn(console, "error").mockImplementation(() => {});
  try {
    const store = { ...createMemoryStore(), listThreads: async () => raise() };
    const handler = createThreadHandler({ store, authorize: ownerInHeader });
    await handler(new Request("http://x.test/get/unknown"));
    await handler(new Request("http://x.test/get?cursor=%25"));
    await handler(new Request("http://x.test/nowhere"));
    await handler(new Request("http://x.test/update/t", { method: "PATCH", body: "{" }));
    expect(log).not.toHaveBeenCalled();
    await handler(new Request("http://x.test/get"));
    expect(log).toHaveBeenCalledTimes(1);
    expect(log.mock.calls[0]?.[0]).toMatch(/^chat-handler: store_failed \(503\): .* \| cause: Error: boom/);
  } finally {
    log.mockRestore();
  }
});

test("a body that does not arrive in time, or whose connection breaks, fails with a client error and is reported once", async () => {
  const { url, fetch, errors } = await startThreads("direct", { timeouts: { body: 25 } });
  const request = (body: ReadableStream) =>
    fetch(`${url}/create`, { method: "POST", headers: { "Content-Type": "application/json" }, body, duplex: "half" } as RequestInit);
  await expectError(await request(new ReadableStream({})), 400, "invalid_request");
  await expectError(
    await request(new ReadableStream({ start: (controller) => controller.error(new Error("reset")) })),
    400,
    "invalid_json",
  );
  expect(errors.map(({ code, status }) => [code, status])).toEqual([
    ["invalid_request", 400],
    ["invalid_json", 400],
  ]);
});

function raise(): never {
  throw new Error("boom");
}
