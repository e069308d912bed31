/** `admit` and `authorize` fail closed: whatever they return by mistake, nothing is read, stored or asked. */
import { describe, expect, it } from "vitest";
import { createChatHandler, createMemoryStore, type ModelClient, type ThreadStore } from "../../src/index.ts";
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

  it("from admit refuses the request", async () => {
    const chat = createChatHandler({ ...common, client, model: "m", admit: mistake as () => undefined });
    expect((await chat(chatRequest())).status).toBe(500);
    expect(store.calls).toEqual([]);
  });
});
