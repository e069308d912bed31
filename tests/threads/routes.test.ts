import { describe, expect, test } from "vitest";
import { createMemoryStore } from "../../src/index.ts";
import { failOnUnhandledErrors } from "../support/unhandled-errors.ts";
import { startChat, readResponse, expectError } from "../support/chat.ts";
import { createThreadHandler } from "../../src/threads.ts";
import { ada, answer, type ThreadListBody, readJson, ownerInHeader, prompt, startThreads, variants } from "./setup.ts";

failOnUnhandledErrors();

describe.each(variants)("%s", (via) => {
  test("lists threads, latest activity first, with only the fields of the client", async () => {
    const { send, backingStore } = await startThreads(via);
    const before = Date.now();
    for (const id of ["a", "b", "c"]) await backingStore.appendMessages(ada(id), [prompt(1)], { title: `Thread ${id}` });
    await backingStore.appendMessages(ada("a"), [answer(1)]);
    const list = await readJson<ThreadListBody>(send("/get"));
    expect(list).toEqual({
      threads: ["a", "c", "b"].map((id) => ({ id, title: `Thread ${id}`, createdAt: expect.any(Number) })),
    });
    // The client converts it to a Date, which needs milliseconds.
    for (const { createdAt } of list.threads) expect(new Date(createdAt).getTime()).toBeGreaterThanOrEqual(before);
    for (const { createdAt } of list.threads) expect(createdAt).toBeLessThanOrEqual(Date.now());
  });

  test("an owner without threads has an empty list", async () => {
    const { send } = await startThreads(via);
    expect(await readJson(send("/get"))).toEqual({ threads: [] });
    expect(await readJson(send("/get/"))).toEqual({ threads: [] });
  });

  test("creates a thread with its first message and title", async () => {
    const { send, backingStore } = await startThreads(via, { now: () => 1234 });
    const content = '<content thesys="true">Tom &amp; Jerry</content><context>["x"]</context>';
    const made = await readJson<ThreadListBody["threads"][0]>(
      send("/create", { method: "POST", body: { messages: [{ role: "user", content, id: "m1" }] } }),
    );
    expect(made).toEqual({ id: expect.stringMatching(/^[\da-f-]{36}$/), title: "Tom & Jerry", createdAt: expect.any(Number) });
    expect(await readJson<ThreadListBody>(send("/get"))).toEqual({ threads: [made] });
    expect(await backingStore.listMessages(ada(made.id))).toEqual([
      { id: "m1", promptId: "m1", message: { role: "user", content }, status: "complete", createdAt: 1234 },
    ]);
  });

  test("each create makes a new thread with an id of generateId", async () => {
    let made = 0;
    const { send } = await startThreads(via, { generateId: () => `thread-${++made}` });
    const body = { messages: [{ role: "user", content: "Hello", id: "m1" }] };
    await send("/create", { method: "POST", body });
    await send("/create", { method: "POST", body });
    expect((await readJson<ThreadListBody>(send("/get"))).threads.map(({ id }) => id)).toEqual(["thread-2", "thread-1"]);
  });

  test("the chat request that follows a create stores its prompt once", async () => {
    const chat = await startChat({ via, authorize: () => ({ owner: "ada" }) });
    const { send } = await startThreads(via, { store: chat.backingStore });
    const first = { role: "user", content: "Hello", id: "m1" };
    const { id: threadId } = await readJson<{ id: string }>(send("/create", { method: "POST", body: { messages: [first] } }));
    const seen = await readResponse(chat.post({ prompt: first, threadId, responseId: "r1" }));
    expect(seen).toEqual({ status: 200, text: "Answer to Hello.", failed: false });
    expect(await readJson(send(`/get/${threadId}`))).toEqual([
      { id: "m1", role: "user", content: "Hello" },
      { id: "r1", role: "assistant", content: "Answer to Hello." },
    ]);
    expect(chat.model.calls[0]?.body.messages).toEqual([{ role: "user", content: "Hello" }]);
  });

  test("renames a thread, changes only its title, and returns it", async () => {
    const { send, backingStore } = await startThreads(via);
    await backingStore.appendMessages(ada("t"), [prompt(1)], { title: "Old" });
    const { createdAt } = (await backingStore.getThread(ada("t")))!;
    const body = { id: "other", title: "  New\n title ", createdAt: 5, isPending: true, owner: "eve" };
    expect(await readJson(send("/update/t", { method: "PATCH", body }))).toEqual({ id: "t", title: "New title", createdAt });
    expect(await backingStore.getThread(ada("t"))).toMatchObject({ threadId: "t", title: "New title", createdAt });
    expect(await backingStore.getThread(ada("other"))).toBeUndefined();
  });

  test("returns 404 if the thread is deleted during a rename", async () => {
    const backingStore = createMemoryStore();
    const renameThread: typeof backingStore.renameThread = async (key, title) =>
      (await backingStore.renameThread(key, title)) && backingStore.deleteThread(key);
    const { send } = await startThreads(via, { store: { ...backingStore, renameThread } });
    await backingStore.appendMessages(ada("t"), [prompt(1)]);
    await expectError(await send("/update/t", { method: "PATCH", body: { title: "New" } }), 404, "not_found");
  });

  test("deletes a thread with all its messages", async () => {
    const { send, backingStore } = await startThreads(via);
    for (const id of ["t", "u"]) await backingStore.appendMessages(ada(id), [prompt(1), answer(1)]);
    const response = await send("/delete/t", { method: "DELETE" });
    expect([response.status, await response.text()]).toEqual([204, ""]);
    expect(await backingStore.listMessages(ada("t"))).toEqual([]);
    expect((await readJson<ThreadListBody>(send("/get"))).threads.map(({ id }) => id)).toEqual(["u"]);
    await expectError(await send("/delete/t", { method: "DELETE" }), 404, "not_found");
  });

  test("accepts any id in the query", async () => {
    const { send, backingStore } = await startThreads(via);
    for (const id of ["..", "a#b?c/d%2Fe", " ü "]) {
      const query = `?threadId=${encodeURIComponent(id)}`;
      await backingStore.appendMessages(ada(id), [prompt(1)], { title: "Old" });
      expect(await readJson(send(`/get${query}`))).toHaveLength(1);
      expect(await readJson(send(`/update${query}`, { method: "PATCH", body: { title: "New" } }))).toMatchObject({ id, title: "New" });
      expect((await send(`/delete${query}`, { method: "DELETE" })).status).toBe(204);
      expect(await backingStore.getThread(ada(id))).toBeUndefined();
    }
  });

  test("nothing is cached or sniffed", async () => {
    const { send, backingStore } = await startThreads(via);
    await backingStore.appendMessages(ada("t"), [prompt(1), answer(1, "Hello")]);
    const message = { id: "r1", role: "assistant", content: "Hello<context>[{}]</context>" };
    const responses = [
      await send("/get"),
      await send("/get/t"),
      await send("/get/unknown"),
      await send("/create", { method: "POST", body: { messages: [{ role: "user", content: "Hi", id: "m" }] } }),
      await send("/update/t", { method: "PATCH", body: { title: "New" } }),
      await send("/message", { method: "PATCH", body: { threadId: "t", message } }),
      await send("/delete/t", { method: "DELETE" }),
    ];
    expect(responses.map(({ status }) => status)).toEqual([200, 200, 404, 200, 200, 204, 204]);
    for (const { headers } of responses) {
      expect([headers.get("Cache-Control"), headers.get("X-Content-Type-Options")]).toEqual(["no-store", "nosniff"]);
    }
  });

  test.each(["", "/threads", "/api/v1/create/threads", "/message/threads"])("can be mounted at %j without basePath", async (path) => {
    const { send, backingStore } = await startThreads(via, { path });
    await backingStore.appendMessages(ada("get/get"), [prompt(1)], { title: "Old" });
    expect((await readJson<ThreadListBody>(send("/get"))).threads).toHaveLength(1);
    expect(await readJson(send("/get/get/get"))).toHaveLength(1);
    expect(await readJson(send("/update/get/get", { method: "PATCH", body: { title: "New" } }))).toMatchObject({ title: "New" });
    expect((await send("/delete/get/get", { method: "DELETE" })).status).toBe(204);
  });

  test("a slash at the end of a route without an id is ignored", async () => {
    const { send, backingStore } = await startThreads(via);
    await backingStore.appendMessages(ada("t"), [prompt(1), answer(1, "Hello")]);
    const messages = [{ id: "m", role: "user", content: "Hi" }];
    const message = { id: "r1", role: "assistant", content: "Hello" };
    expect((await send("/create/", { method: "POST", body: { messages } })).status).toBe(200);
    expect((await send("/message/", { method: "PATCH", body: { threadId: "t", message } })).status).toBe(204);
    expect((await readJson<ThreadListBody>(send("/get/"))).threads).toHaveLength(2);
  });

  test("needs basePath if the mount path contains the name of a route", async () => {
    const path = "/get/it/update";
    const { send, backingStore, url, fetch } = await startThreads(via, { path, basePath: path });
    await backingStore.appendMessages(ada("t"), [prompt(1)]);
    expect(await readJson(send("/get/t"))).toHaveLength(1);
    expect((await readJson<ThreadListBody>(send("/get"))).threads).toHaveLength(1);
    for (const other of ["/got/it/update/get", "/get/it", "/get/it/update", "/get/it/updates/get", "/x/get/it/update/get"]) {
      await expectError(await fetch(new URL(other, url)), 404, "not_found");
    }
    await expectError(await send("/x/get/t"), 404, "not_found");
  });
});

test("rejects other methods and names the right one", async () => {
  const { send } = await startThreads("direct");
  const routes = { "/get": "GET", "/get/t": "GET", "/create": "POST", "/update/t": "PATCH", "/message": "PATCH", "/delete/t": "DELETE" };
  const methods = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];
  for (const [path, allowed] of Object.entries(routes)) {
    for (const method of methods.filter((method) => method !== allowed)) {
      const response = await send(path, { method });
      expect(response.headers.get("Allow")).toBe(allowed);
      await expectError(response, 405, "method_not_allowed");
    }
    expect((await send(path, { method: allowed })).status).not.toBe(405);
  }
});

test("has no other routes", async () => {
  const { send, store } = await startThreads("direct");
  for (const path of ["", "/", "/getaway", "/create/t", "/message/t", "/list", "/GET", "/api"]) {
    const error = await expectError(await send(path), 404, "not_found");
    expect(error.message).toBe("There is no such route: the routes are get, create, update, delete, message.");
  }
  expect(store.calls).toEqual([]);
  const { url, fetch } = await startThreads("direct", { basePath: "/api/threads" });
  const error = await expectError(await fetch(new URL("/api/thread/get", url)), 404, "not_found");
  expect(error.message).toBe("There is no such route: the routes under /api/threads are get, create, update, delete, message.");
});

test("returns 500 if its own code throws", async () => {
  const errors: unknown[] = [];
  const { backingStore } = await startThreads("direct");
  const handler = createThreadHandler({ store: backingStore, authorize: ownerInHeader, onError: (error) => void errors.push(error) });
  const broken = { url: "not an address", method: "GET" } as Request;
  await expectError(await handler(broken), 500, "internal");
  expect(errors).toHaveLength(1);
});
