import { describe, expect, test } from "vitest";
import { ChatHandlerError, createMemoryStore } from "../../src/index.ts";
import { allowAnyone, createThreadHandler, type ThreadHandlerOptions } from "../../src/threads.ts";
import { expectError } from "../support/chat.ts";
import { forEachConcurrently } from "../support/expectations.ts";
import { failOnUnhandledErrors } from "../support/unhandled-errors.ts";
import { ada, answer, type ThreadListBody, readJson, prompt, startThreads, variants } from "./setup.ts";

failOnUnhandledErrors();

const first = { id: "m1", role: "user", content: "Hello" };
const filled = { id: "r1", role: "assistant", content: "Answer 1<context>[{}]</context>" };
const long = "x".repeat(129);
const halfPair = '"\\ud800"';

/** For each route with a body: what is wrong with it, and the field that the error names. */
const malformed: [path: string, method: string, body: string, param: string | undefined][] = [
  ...(
    [
      ["/create", "POST"],
      ["/update/t", "PATCH"],
      ["/message", "PATCH"],
    ] as const
  ).flatMap(([path, method]) => {
    const bodies = ["null", "[]", '"text"', "1", "true"];
    return bodies.map((body): [string, string, string, undefined] => [path, method, body, undefined]);
  }),
  ...(
    [
      [{}, "messages"],
      [{ messages: null }, "messages"],
      [{ messages: first }, "messages"],
      [{ messages: [] }, "messages"],
      [{ messages: [first, first] }, "messages"],
      [{ messages: ["Hello"] }, "messages[0]"],
      [{ messages: [null] }, "messages[0]"],
      [{ messages: [{ ...first, id: undefined }] }, "messages[0].id"],
      [{ messages: [{ ...first, id: "" }] }, "messages[0].id"],
      [{ messages: [{ ...first, id: 1 }] }, "messages[0].id"],
      [{ messages: [{ ...first, id: long }] }, "messages[0].id"],
      [{ messages: [{ ...first, id: "a\u0000b" }] }, "messages[0].id"],
      [{ messages: [{ ...first, role: "assistant" }] }, "messages[0].role"],
      [{ messages: [{ ...first, role: "system" }] }, "messages[0].role"],
      [{ messages: [{ ...first, role: undefined }] }, "messages[0].role"],
      [{ messages: [{ ...first, content: undefined }] }, "messages[0].content"],
      [{ messages: [{ ...first, content: "" }] }, "messages[0].content"],
      [{ messages: [{ ...first, content: " \n" }] }, "messages[0].content"],
      [{ messages: [{ ...first, content: 1 }] }, "messages[0].content"],
      [{ messages: [{ ...first, content: [] }] }, "messages[0].content"],
      [{ messages: [{ ...first, content: "x".repeat(100_001) }] }, "messages[0].content"],
      [{ messages: [{ ...first, content: [{ type: "text", text: 1 }] }] }, "messages[0].content[0].text"],
      [{ messages: [{ ...first, content: [{ type: "tool" }] }] }, "messages[0].content[0].type"],
    ] as const
  ).map(([body, param]): [string, string, string, string] => ["/create", "POST", JSON.stringify(body), param]),
  ["/create", "POST", `{"messages":[{"id":"m","role":"user","content":${halfPair}}]}`, "messages[0].content"],
  ["/create", "POST", `{"messages":[{"id":${halfPair},"role":"user","content":"Hi"}]}`, "messages[0].id"],
  ...["{}", '{"title":null}', '{"title":1}', '{"title":["a"]}', '{"title":""}', '{"title":" \\n\\t"}', '{"title":"\\u0000"}'].map(
    (body): [string, string, string, string] => ["/update/t", "PATCH", body, "title"],
  ),
  ["/update/t", "PATCH", `{"title":${halfPair}}`, "title"],
  ...(
    [
      [{}, "threadId"],
      [{ threadId: 1, message: filled }, "threadId"],
      [{ threadId: "", message: filled }, "threadId"],
      [{ threadId: long, message: filled }, "threadId"],
      [{ threadId: "t" }, "message"],
      [{ threadId: "t", message: null }, "message"],
      [{ threadId: "t", message: [filled] }, "message"],
      [{ threadId: "t", message: { ...filled, id: undefined } }, "message.id"],
      [{ threadId: "t", message: { ...filled, id: 1 } }, "message.id"],
      [{ threadId: "t", message: { ...filled, id: long } }, "message.id"],
      [{ threadId: "t", message: { ...filled, role: "user" } }, "message.role"],
      [{ threadId: "t", message: { ...filled, role: "system" } }, "message.role"],
      [{ threadId: "t", message: { ...filled, role: undefined } }, "message.role"],
      [{ threadId: "t", message: { ...filled, content: undefined } }, "message.content"],
      [{ threadId: "t", message: { ...filled, content: null } }, "message.content"],
      [{ threadId: "t", message: { ...filled, content: ["text"] } }, "message.content"],
    ] as const
  ).map(([body, param]): [string, string, string, string] => ["/message", "PATCH", JSON.stringify(body), param]),
  ["/message", "PATCH", `{"threadId":"t","message":{"id":"r1","role":"assistant","content":${halfPair}}}`, "message.content"],
];

describe.each(variants)("%s", (via) => {
  const started = async (options: Partial<ThreadHandlerOptions> = {}) => {
    const threads = await startThreads(via, options);
    await threads.backingStore.appendMessages(ada("t"), [prompt(1), answer(1)], { title: "Old" });
    return threads;
  };

  test(`${malformed.length} malformed bodies are rejected with the name of the field, before the store or the app is called`, async () => {
    let asked = 0;
    const { send, store } = await started({ authorize: () => ({ owner: `ada${++asked}` }) });
    await forEachConcurrently(malformed, async ([path, method, body, param]) => {
      expect((await expectError(await send(path, { method, body }), 400, "invalid_request")).param).toBe(param);
    });
    expect([asked, store.calls]).toEqual([0, []]);
  });

  test("creating a thread without a first message, or with one without an id, is rejected with the expected shape", async () => {
    const { send } = await started();
    const shape = '{ id, role: "user", content }';
    for (const [body, message] of [
      [{}, `messages must be [${shape}]: the first message, and no other.`],
      [{ title: "New" }, `messages must be [${shape}]: the first message, and no other.`],
      [{ messages: [first, first] }, `messages must be [${shape}]: the first message, and no other.`],
      [{ messages: [{ role: "user", content: "Hello" }] }, `messages[0].id is missing: a message is ${shape}.`],
    ] as const) {
      const error = await expectError(await send("/create", { method: "POST", body }), 400, "invalid_request");
      expect(error.message).toBe(message);
    }
  });

  test("a body that is not JSON in UTF-8, too large or of another type is rejected", async () => {
    const { send, store, url, fetch } = await started({ limits: { bodyBytes: 1000 } });
    const routes = [
      ["/create", "POST"],
      ["/update/t", "PATCH"],
      ["/message", "PATCH"],
    ] as const;
    for (const [path, method] of routes) {
      for (const body of ["{", "title=x", "{'title':1}"]) await expectError(await send(path, { method, body }), 400, "invalid_json");
      const headers = { "Content-Type": "application/json" };
      await expectError(await fetch(url + path, { method, headers, body: new Uint8Array([0x22, 0xff, 0x22]) }), 400, "invalid_json");
      await expectError(await fetch(url + path, { method, headers }), 400, "invalid_json");
      await expectError(await send(path, { method, body: `"${"x".repeat(1000)}"` }), 413, "body_too_large");
      for (const type of ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "application/jsonp"]) {
        await expectError(await send(path, { method, body: "{}", headers: { "Content-Type": type } }), 415, "unsupported_media_type");
      }
      await expectError(await fetch(url + path, { method, body: new Uint8Array([0x7b, 0x7d]) }), 415, "unsupported_media_type");
    }
    expect(store.calls).toEqual([]);
  });

  test("a title is one line of at most 80 characters", async () => {
    const { send } = await started();
    const rename = async (title: string) =>
      (await readJson<{ title: string }>(send("/update/t", { method: "PATCH", body: { title } }))).title;
    expect(await rename(" a\r\n\tb\u0007 c ")).toBe("a b c");
    expect(await rename("🙂".repeat(80))).toBe("🙂".repeat(80));
    expect(await rename("🙂".repeat(81))).toBe(`${"🙂".repeat(79)}…`);
    expect(await rename("<b>&amp;")).toBe("<b>&amp;");
  });

  const requests = [
    ["/get", {}],
    ["/get/t", {}],
    ["/create", { method: "POST", body: { messages: [first] } }],
    ["/update/t", { method: "PATCH", body: { title: "New" } }],
    ["/delete/t", { method: "DELETE" }],
    ["/message", { method: "PATCH", body: { threadId: "t", message: filled } }],
  ] as const;

  test("authorize may reject with a response, and the store is not called", async () => {
    const refuse = () => new Response("Who are you?", { status: 401, headers: { "WWW-Authenticate": "Bearer" } });
    const { send, store, errors } = await started({ authorize: async () => refuse() });
    for (const [path, init] of requests) {
      const response = await send(path, init);
      expect([response.status, response.headers.get("WWW-Authenticate"), await response.text()]).toEqual([401, "Bearer", "Who are you?"]);
    }
    expect([store.calls, errors]).toEqual([[], []]);
  });

  test("authorize may reject with an error, and the store is not called", async () => {
    const refusals: [error: unknown, status: number, code: string, message: string][] = [
      [new ChatHandlerError("unauthorized", "Log in."), 401, "unauthorized", "Log in."],
      [new ChatHandlerError("forbidden", "Not you."), 403, "forbidden", "Not you."],
      [new Error("the session database at 10.0.0.7 is down"), 500, "internal", "Something went wrong."],
      ["text", 500, "internal", "Something went wrong."],
    ];
    await forEachConcurrently(refusals, async ([error, status, code, message]) => {
      for (const authorize of [() => raise(error), async () => raise(error)]) {
        const { send, store } = await started({ authorize });
        for (const [path, init] of requests) expect(await expectError(await send(path, init), status, code)).toMatchObject({ message });
        expect(store.calls).toEqual([]);
      }
    });
  });

  test("an authorize without an owner rejects every request", async () => {
    const slips: unknown[] = [
      undefined,
      null,
      false,
      "",
      "ada",
      1,
      {},
      [],
      { owner: undefined },
      { owner: null },
      { owner: 1 },
      { user: "ada" },
    ];
    await forEachConcurrently(slips, async (slip) => {
      const { send, store, errors } = await started({ authorize: () => slip as never });
      await expectError(await send("/get"), 500, "internal");
      await expectError(await send("/delete/t", { method: "DELETE" }), 500, "internal");
      expect(store.calls).toEqual([]);
      expect(errors).toHaveLength(2);
      expect(errors[0]?.cause).toBeInstanceOf(TypeError);
    });
  });

  test("authorize receives the request and the thread id", async () => {
    const asked: [string, string | undefined, string | null][] = [];
    const { send } = await started({
      authorize({ request, threadId }) {
        asked.push([request.method, threadId, request.headers.get("Cookie")]);
        return { owner: "ada" };
      },
    });
    const headers = { Cookie: "session=1" };
    await send("/get", { headers });
    await send("/get/t", { headers });
    await send("/create", { method: "POST", body: { messages: [first] }, headers });
    await send("/message", { method: "PATCH", body: { threadId: "t", message: filled }, headers });
    await send("/delete/t", { method: "DELETE", headers });
    expect(asked).toEqual([
      ["GET", undefined, "session=1"],
      ["GET", "t", "session=1"],
      ["POST", undefined, "session=1"],
      ["PATCH", "t", "session=1"],
      ["DELETE", "t", "session=1"],
    ]);
  });

  test('allowAnyone gives everyone access to owner ""', async () => {
    const { send, backingStore } = await started({ authorize: allowAnyone });
    expect(await readJson<ThreadListBody>(send("/get"))).toEqual({ threads: [] });
    await backingStore.appendMessages({ owner: "", threadId: "open" }, [prompt(1)]);
    expect((await readJson<ThreadListBody>(send("/get"))).threads).toHaveLength(1);
  });
});

test("wrong options throw at construction and name the fix", async () => {
  const { backingStore: store } = await startThreads("direct");
  const authorize = allowAnyone;
  const misuses: [options: unknown, message: RegExp][] = [
    [undefined, /one object/],
    [null, /one object/],
    [{}, /store/],
    [{ store }, /authorize.*allowAnyone/],
    [{ store, authorize: true }, /authorize must be of type function/],
    [{ store, authorize: "ada" }, /authorize must be of type function/],
    [{ authorize }, /store/],
    [{ store: null, authorize }, /store must be/],
    [{ store: { ...store, listThreads: undefined }, authorize }, /listThreads/],
    [{ store: { ...store, renameThread: "yes" }, authorize }, /renameThread/],
    [{ store, authorize, pagesize: 10 }, /pagesize/],
    [{ store, authorize, pageSize: 0 }, /pageSize/],
    [{ store, authorize, pageSize: 1.5 }, /pageSize/],
    [{ store, authorize, pageSize: "50" }, /pageSize/],
    [{ store, authorize, basePath: "/api/" }, /basePath/],
    [{ store, authorize, basePath: "api" }, /basePath/],
    [{ store, authorize, basePath: "/" }, /basePath/],
    [{ store, authorize, basePath: "/a?b" }, /basePath/],
    [{ store, authorize, limits: { steps: 1 } }, /limits\.steps/],
    [{ store, authorize, limits: { bodyBytes: 0 } }, /limits\.bodyBytes/],
    [{ store, authorize, timeouts: { store: Infinity } }, /timeouts\.store/],
    [{ store, authorize, onError: "log" }, /onError/],
  ];
  for (const [options, message] of misuses) expect(() => createThreadHandler(options as ThreadHandlerOptions)).toThrow(message);
  const construct = createThreadHandler as unknown as (...args: unknown[]) => unknown;
  expect(() => construct(store, authorize)).toThrow(/createThreadHandler\(\{ store, authorize \}\)/);
  const undefineds = { basePath: undefined, pageSize: undefined, limits: undefined, timeouts: undefined, onError: undefined };
  expect(createThreadHandler({ store, authorize, ...undefineds })).toBeTypeOf("function");
});

function raise(error: unknown): never {
  throw error;
}

test("the request of a framework is refused with a message that names the fix", async () => {
  const causes: unknown[] = [];
  const handler = createThreadHandler({ store: createMemoryStore(), authorize: allowAnyone, onError: ({ cause }) => causes.push(cause) });
  for (const request of [undefined, { url: "/threads/get", method: "GET", headers: {} }]) {
    await expectError(await handler(request as unknown as Request), 500, "internal");
  }
  expect(causes.map(String)).toEqual(Array(2).fill(expect.stringContaining("needs a Request. Pass the framework's own")));
});
