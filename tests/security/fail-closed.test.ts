/** `admit` and `authorize` fail closed: whatever they return by mistake, nothing is read, stored or asked. */
import { describe, expect, it } from "vitest";
import { allowAnyone, createChatHandler, createMemoryStore, type ModelClient, type ThreadStore } from "../../src/index.ts";
import { createThreadHandler } from "../../src/threads.ts";
import { createFaultyStore } from "../support/faulty-store.ts";
import { failOnUnhandledErrors } from "../support/unhandled-errors.ts";

failOnUnhandledErrors();

const mistakes: Record<string, () => unknown> = {
  undefined: () => undefined,
  null: () => null,
  false: () => false,
  "an empty text": () => "",
  "the owner itself": () => "ada",
  "no owner": () => ({}),
  "an owner that is null": () => ({ owner: null }),
  "a number as owner": () => ({ owner: 5 }),
  "a String object as owner": () => ({ owner: Object("ada") as unknown }),
  "an array as owner": () => ({ owner: ["ada"] }),
  "a promise as owner": () => ({ owner: Promise.resolve("ada") }),
  "an array": () => [{ owner: "ada" }],
  "a function": () => () => ({ owner: "ada" }),
  "a Map": () => new Map([["owner", "ada"]]),
  "an error": () => new Error("no"),
  "a promise of null": async () => null,
  "a rejection without a reason": () => {
    const { promise, reject } = Promise.withResolvers();
    reject();
    return promise;
  },
  "a getter that throws": () => ({
    get owner() {
      throw new Error("no");
    },
  }),
};

const client: ModelClient = {
  chat: {
    completions: {
      create() {
        throw new Error("The model was called.");
      },
    },
  },
};

const headers = { "Content-Type": "application/json" };
const body = (value: unknown, method = "POST") => ({ method, headers, body: JSON.stringify(value) });
const prompt = { id: "p1", role: "user", content: "Hi" };
const chatRequest = () => new Request("http://chat.test/", body({ prompt, threadId: "t", responseId: "r1" }));

const threadRequests = () => [
  new Request("http://chat.test/get"),
  new Request("http://chat.test/get/t"),
  new Request("http://chat.test/delete/t", { method: "DELETE" }),
  new Request("http://chat.test/create", body({ messages: [prompt] })),
  new Request("http://chat.test/update/t", body({ title: "Mine" }, "PATCH")),
  new Request("http://chat.test/message", body({ threadId: "t", message: { id: "r1", role: "assistant", content: "x" } }, "PATCH")),
];

describe.each(Object.entries(mistakes))("%s", (name, mistake) => {
  const authorize = mistake as () => { owner: string };
  const store = createFaultyStore(createMemoryStore());
  const common = { store: store as ThreadStore, onError: () => {} };

  it("from authorize refuses each request of both handlers", async () => {
    const chat = createChatHandler({ ...common, client, model: "m", authorize });
    const threads = createThreadHandler({ ...common, authorize });
    const responses = [await chat(chatRequest())];
    for (const request of threadRequests()) responses.push(await threads(request));
    expect(responses.map(({ status }) => status)).toEqual([500, 500, 500, 500, 500, 500, 500]);
    expect(store.calls).toEqual([]);
  });

  if (name === "undefined") return;

  it("from admit refuses each request of both handlers", async () => {
    const admit = mistake as () => undefined;
    const chat = createChatHandler({ ...common, client, model: "m", admit });
    const threads = createThreadHandler({ ...common, admit, authorize: allowAnyone });
    const responses = [await chat(chatRequest())];
    for (const request of threadRequests()) responses.push(await threads(request));
    expect(responses.map(({ status }) => status)).toEqual([500, 500, 500, 500, 500, 500, 500]);
    expect(store.calls).toEqual([]);
  });
});

describe.each(["admit", "authorize"])("%s that never settles", (name) => {
  it("refuses each request of both handlers once its time is over", async () => {
    const store = createFaultyStore(createMemoryStore());
    const causes: unknown[] = [];
    const common = {
      store: store as ThreadStore,
      authorize: allowAnyone,
      [name]: () => new Promise<never>(() => {}),
      timeouts: { authorize: 20 },
      onError: ({ cause }: Error) => void causes.push(cause),
    };
    const chat = createChatHandler({ ...common, client, model: "m" });
    const threads = createThreadHandler(common);
    const responses = await Promise.all([chat(chatRequest()), ...threadRequests().map(threads)]);
    expect(responses.map(({ status }) => status)).toEqual([500, 500, 500, 500, 500, 500, 500]);
    expect(new Set(causes.map(String))).toEqual(new Set([`Error: ${name} took longer than 20 ms.`]));
    expect(store.calls).toEqual([]);
  });
});

it("a refusal by admit comes before the body of a thread request is read", async () => {
  const store = createFaultyStore(createMemoryStore());
  const admit = () => new Response("No", { status: 403 });
  const threads = createThreadHandler({ store, admit, authorize: allowAnyone });
  for (const request of threadRequests()) {
    const response = await threads(request);
    expect([response.status, await response.text(), request.bodyUsed]).toEqual([403, "No", false]);
  }
  expect(store.calls).toEqual([]);
});
