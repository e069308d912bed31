import { describe, expect, test } from "vitest";
import { ChatHandlerError } from "../../src/index.ts";
import { failOnUnhandledErrors } from "../support/unhandled-errors.ts";
import { expectError } from "../support/chat.ts";
import { forEachConcurrently } from "../support/expectations.ts";
import { ada, readJson, prompt, startThreads, variants } from "./setup.ts";

failOnUnhandledErrors();

/** All are stored at the same time, so that a test notices if one is confused with another. */
const odd = [
  "a/b",
  "a%2Fb",
  "a/get/b",
  "get",
  "update/delete",
  "/",
  "//",
  "a/",
  "100%",
  "100%25",
  "50%zz",
  "%C3%A9t%C3%A9",
  "%00",
  "a%E9b",
  "a b",
  "a+b",
  "ü/日本/🙂",
  "__proto__",
  "constructor",
  'it\'s "quoted"',
  "a:b@c;d=e&f,g",
  "x".repeat(128),
  "🙂".repeat(64),
  `${"x".repeat(125)}%41`,
];

describe.each(variants)("%s", (via) => {
  const started = async () => {
    const threads = await startThreads(via);
    for (const id of odd) await threads.backingStore.appendMessages(ada(id), [prompt(1, `In ${id}`)], { title: "Old" });
    return threads;
  };

  test("an id in the path is used unchanged", async () => {
    const { send, backingStore } = await started();
    await forEachConcurrently(odd, async (id) => {
      expect(await readJson(send(`/get/${id}`))).toEqual([{ id: "p1", role: "user", content: `In ${id}` }]);
      expect(await readJson(send(`/update/${id}`, { method: "PATCH", body: { title: `Of ${id}` } }))).toMatchObject({ id });
    });
    await forEachConcurrently(odd, async (id) => {
      expect((await send(`/delete/${id}`, { method: "DELETE" })).status).toBe(204);
      expect(await backingStore.getThread(ada(id))).toBeUndefined();
    });
    expect(await readJson(send("/get"))).toEqual({ threads: [] });
  });

  test("an id in the path may be percent-encoded", async () => {
    await forEachConcurrently(odd, async (id) => {
      const { send, backingStore } = await startThreads(via);
      await backingStore.appendMessages(ada(id), [prompt(1, `In ${id}`)], { title: "Old" });
      const path = encodeURIComponent(id);
      expect(await readJson(send(`/get/${path}`))).toEqual([{ id: "p1", role: "user", content: `In ${id}` }]);
      expect(await readJson(send(`/update/${path}`, { method: "PATCH", body: { title: "New" } }))).toMatchObject({ id, title: "New" });
      expect((await send(`/delete/${path}`, { method: "DELETE" })).status).toBe(204);
      expect(await backingStore.getThread(ada(id))).toBeUndefined();
    });
  });

  test("an id in the query is exact", async () => {
    const { send } = await started();
    await forEachConcurrently(odd, async (id) => {
      expect(await readJson(send(`/get?threadId=${encodeURIComponent(id)}`))).toEqual([{ id: "p1", role: "user", content: `In ${id}` }]);
    });
    // The query is decoded once, and never read in two ways like a path.
    await expectError(await send("/get?threadId=%25C3%25A9"), 404, "not_found");
  });

  test("authorize receives the thread that is used", async () => {
    const asked: (string | undefined)[] = [];
    const owners: Record<string, string> = { "a%2Fb": "eve", "a/b": "ada" };
    const { send, backingStore } = await startThreads(via, {
      authorize({ threadId }) {
        asked.push(threadId);
        const owner = owners[threadId ?? ""];
        return owner === undefined ? new Response("no", { status: 403 }) : { owner };
      },
    });
    await backingStore.appendMessages(ada("a/b"), [prompt(1, "of ada")]);
    await backingStore.appendMessages(ada("a%2Fb"), [prompt(1, "also of ada")]);
    expect(await readJson(send("/get/a%2Fb"))).toMatchObject([{ content: "of ada" }]);
    expect(asked).toEqual(["a%2Fb", "a/b"]);
    expect((await send("/get/c%2Fd")).status).toBe(403);
    expect((await send("/get")).status).toBe(403);
    expect((await send("/get/e")).status).toBe(403);
    expect(asked.slice(2)).toEqual(["c%2Fd", "c/d", undefined, "e"]);
  });

  test("authorize may reject one reading of an id with an error or a response", async () => {
    const refusals = [() => new Response("no", { status: 403 }), () => raise(new ChatHandlerError("forbidden", "no"))];
    await forEachConcurrently(refusals, async (refuse) => {
      const { send, backingStore } = await startThreads(via, {
        authorize: ({ threadId }) => (threadId === "a b" ? { owner: "ada" } : refuse()),
      });
      await backingStore.appendMessages(ada("a b"), [prompt(1, "of ada")]);
      expect(await readJson(send("/get/a%20b"))).toMatchObject([{ content: "of ada" }]);
      expect((await send("/get/c%20d")).status).toBe(403);
    });
    // Any other error fails the request.
    const { send } = await startThreads(via, {
      authorize: ({ threadId }) => (threadId === "a b" ? { owner: "ada" } : raise(new Error("down"))),
    });
    await expectError(await send("/get/a%20b"), 500, "internal");
    const { send: sendAgain, backingStore } = await startThreads(via, {
      authorize: ({ threadId }) =>
        threadId === "a b" ? { owner: "ada" } : raise(new ChatHandlerError("store_failed", "The sessions are down.")),
    });
    // Not even where another reading names a thread.
    await backingStore.appendMessages(ada("a b"), [prompt(1)]);
    await expectError(await sendAgain("/get/a%20b"), 503, "store_failed");
  });

  test("an invalid id is rejected before the store is called", async () => {
    const { send, store } = await startThreads(via);
    const long = "x".repeat(129);
    for (const path of [`/get/${long}`, "/get?threadId=", `/get?threadId=${long}`, "/get?threadId=a%00b", "/get?threadId=a%0Ab"]) {
      expect(await expectError(await send(path), 400, "invalid_request")).toMatchObject({ param: "threadId" });
    }
    for (const [path, method] of [
      ["/update", "PATCH"],
      ["/update/", "PATCH"],
      ["/delete", "DELETE"],
      ["/delete/", "DELETE"],
      [`/delete/${long}`, "DELETE"],
    ] as const) {
      const request = { method, ...(method === "PATCH" && { body: { title: "New" } }) };
      expect(await expectError(await send(path, request), 400, "invalid_request")).toMatchObject({ param: "threadId" });
    }
    expect(store.calls).toEqual([]);
  });
});

test("the length of ids follows the option", async () => {
  const { send, backingStore, store } = await startThreads("direct", { limits: { idCharacters: 200 } });
  const id = "é".repeat(200);
  await backingStore.appendMessages(ada(id), [prompt(1)]);
  expect(await readJson(send(`/get/${id}`))).toHaveLength(1);
  await expectError(await send(`/get/${id}e`), 400, "invalid_request");
  expect(new Set(store.calls.map(({ args }) => (args[0] as { threadId: string }).threadId))).toEqual(new Set([id]));
});

function raise(error: unknown): never {
  throw error;
}
