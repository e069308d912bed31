/** The options of `createChatHandler`: wrong ones throw at construction, and functions are called in every turn. */
import { runInNewContext } from "node:vm";
import { describe, expect, it } from "vitest";
import {
  ChatHandlerError,
  type ChatHandlerOptions,
  createChatHandler,
  createMemoryStore,
  type MessageStore,
  type TurnContext,
} from "../../src/index.ts";
import { type ChatTool, createTools } from "../../src/tools.ts";
import { chatBody, expectError, readResponse, startChat, variants } from "../support/chat.ts";
import { failOnUnhandledErrors } from "../support/unhandled-errors.ts";
import { callTools, createGate, neverAnswer, answerWith, answerAfter } from "../support/model-scripts.ts";

failOnUnhandledErrors();

const client = { chat: { completions: { create: () => Promise.reject(new Error("never called")) } } };
const store = createMemoryStore();
const good: ChatHandlerOptions = { store, client, model: "m" };

describe("wrong options throw at construction and name the fix:", () => {
  const { listMessages: _, ...withoutList } = store;
  it.each<[name: string, options: unknown, remedy: RegExp]>([
    ["nothing", undefined, /createChatHandler\(\{ store, client, model \}\)/],
    ["null", null, /createChatHandler\(\{ store, client, model \}\)/],
    ["no store", { client, model: "m" }, /createMemoryStore\(\)/],
    ["a store that is null", { ...good, store: null }, /store/],
    ["a store factory that was not called", { ...good, store: createMemoryStore }, /store/],
    ["a store without a method", { ...good, store: withoutList }, /listMessages\(\).*createMemoryStore\(\)/],
    ...(["appendMessages", "updateMessage", "deleteMessages"] as const).map((method): [string, unknown, RegExp] => [
      `a store whose ${method} is not a function`,
      { ...good, store: { ...store, [method]: 1 } },
      new RegExp(`${method}\\(\\)`),
    ]),
    [
      "generateTitle with a store without threads",
      { ...good, store: { ...store, renameThread: undefined }, generateTitle: () => "" },
      /renameThread\(\)/,
    ],
    ["no client", { store, model: "m" }, /client.*OpenAI/],
    ["a client without chat", { ...good, client: {} }, /chat\.completions\.create.*OpenAI/],
    ["a client without completions", { ...good, client: { chat: {} } }, /chat\.completions\.create.*OpenAI/],
    ["a client without create", { ...good, client: { chat: { completions: {} } } }, /chat\.completions\.create/],
    ["a client that is a key", { ...good, client: "sk-key" }, /client/],
    ["no model", { store, client }, /model/],
    ["an empty model", { ...good, model: "" }, /model/],
    ["a model that is a number", { ...good, model: 4 }, /model must be of type string or function/],
    ["an unknown option", { ...good, systemprompt: "x" }, /systemprompt/],
    ["an unknown option of the prototype", { ...good, constructor: 1 }, /constructor/],
    ["an unknown limit", { ...good, limits: { bodySize: 1 } }, /limits\.bodySize/],
    ["an unknown timeout", { ...good, timeouts: { total: 1 } }, /timeouts\.total/],
    ["an unknown history option", { ...good, history: { first: 1 } }, /history\.first/],
    ["history that is a number", { ...good, history: 20 }, /history must be of type object/],
    ["limits that are null", { ...good, limits: null }, /limits must be of type object/],
    ["timeouts that are an array", { ...good, timeouts: [1000] }, /timeouts/],
    ["a limit of 0", { ...good, limits: { steps: 0 } }, /limits\.steps must be a whole number from 1/],
    ["a limit below 0", { ...good, limits: { bodyBytes: -1 } }, /limits\.bodyBytes must be a whole number/],
    ["a limit that is not whole", { ...good, limits: { idCharacters: 1.5 } }, /limits\.idCharacters must be a whole number/],
    ["a limit that is a string", { ...good, limits: { bodyBytes: "1mb" } }, /limits\.bodyBytes must be of type number/],
    ["a limit that is NaN", { ...good, limits: { queue: NaN } }, /limits\.queue must be a whole number/],
    ["an infinite timeout", { ...good, timeouts: { turn: Infinity } }, /timeouts\.turn must be a whole number/],
    [
      "a timeout longer than a timer supports",
      { ...good, timeouts: { idle: 2 ** 31 } },
      /timeouts\.idle must be a whole number from 1 to 2147483647/,
    ],
    ["a history of no messages", { ...good, history: { maxMessages: 0 } }, /history\.maxMessages must be a whole number from 1/],
    ["a flushInterval below 0", { ...good, flushInterval: -1 }, /flushInterval must be a whole number from 0/],
    ["a flushInterval that is a string", { ...good, flushInterval: "30" }, /flushInterval must be of type number/],
    ["an unknown concurrency", { ...good, concurrency: "parallel" }, /concurrency must be "queue", "reject" or "interrupt"/],
    ["an unknown disconnect", { ...good, disconnect: "wait" }, /disconnect must be "stop", "continue" or { graceMs }/],
    ["a graceMs that is not whole", { ...good, disconnect: { graceMs: 1.5 } }, /disconnect must be "stop", "continue" or { graceMs }/],
    ["a coordinator without turns", { ...good, coordinator: {} }, /coordinator must come from createRedisCoordinator/],
    ["showErrors that is a string", { ...good, showErrors: "yes" }, /showErrors must be of type boolean/],
    ...(["authorize", "generateTitle", "onTurnEnd", "onError", "waitUntil", "generateId", "now"] as const).map(
      (name): [string, unknown, RegExp] => [
        `${name} that is not a function`,
        { ...good, [name]: "x" },
        new RegExp(`${name} must be of type function`),
      ],
    ),
    ["a systemPrompt that is a number", { ...good, systemPrompt: 1 }, /systemPrompt must be of type string or function/],
    ["params that are a string", { ...good, params: "temperature=1" }, /params must be of type object/],
    ...(["messages", "model", "stream", "tools"] as const).map((name): [string, unknown, RegExp] => [
      `params.${name}`,
      { ...good, params: { [name]: [] } },
      new RegExp(`params\\.${name}`),
    ]),
    ["tools that are a plain array", { ...good, tools: [{ name: "x", run: () => 1 }] }, /createTools\(\)/],
  ])("%s", (_name, options, remedy) => {
    const construct = () => createChatHandler(options as ChatHandlerOptions);
    expect(construct).toThrow(TypeError);
    expect(construct).toThrow(remedy);
  });

  it("createChatHandler(store, client)", () => {
    const construct = createChatHandler as unknown as (...args: unknown[]) => unknown;
    expect(() => construct(store, client)).toThrow(/createChatHandler\(\{ store, client, model \}\)/);
  });

  class Schema {
    type = "object";
  }
  const look = { name: "look", run: () => 1 };
  it.each<[name: string, tools: unknown, remedy: RegExp]>([
    ["nothing", undefined, /createTools\(\[\{ name, description, parameters, run \}\]\)/],
    ["a record of tools", { look }, /array: createTools\(\[\{ name/],
    ["one tool", look, /array: createTools\(\[\{ name/],
    ["a tool that is null", [null], /tool's name has/],
    ...["inputSchema", "execute", "handler", "constructor"].map((field): [string, unknown, RegExp] => [
      `a tool with ${field}`,
      [look, { ...look, name: "other", [field]: () => 1 }],
      new RegExp(`tools\\[1\\].* ${field}, .*fields are name, description, parameters, strict, run$`),
    ]),
    ["a tool in OpenAI's form", [{ type: "function", function: { name: "look" } }], /type, .*fields are name/],
    ...Object.entries({
      "of a class, like zod's": new Schema(),
      "that are a function, like ArkType's": () => {},
      "with ~standard, like Valibot's": { type: "object", "~standard": { version: 1 } },
      "that are an array": [],
      "that are a string": "{}",
      "that are null": null,
    }).map(([what, parameters]): [string, unknown, RegExp] => [
      `parameters ${what}`,
      [{ ...look, parameters }],
      /look must be a JSON Schema.*z\.toJSONSchema\(schema\)/,
    ]),
    ["a tool without a name", [{ run: () => 1 }], /name/],
    ["a tool with a name that providers reject", [{ name: "get weather", run: () => 1 }], /name/],
    ["a tool with a name that is too long", [{ name: "x".repeat(65), run: () => 1 }], /64/],
    ["a tool without run", [{ name: "look" }], /look.*run\(args, context\)/],
    [
      "two tools with the same name",
      [
        { name: "look", run: () => 1 },
        { name: "look", run: () => 2 },
      ],
      /look/,
    ],
  ])("createTools: %s", (_name, tools, remedy) => {
    expect(() => createTools(tools as ChatTool[])).toThrow(remedy);
    expect(() => createTools(tools as ChatTool[])).toThrow(TypeError);
  });

  it("createTools accepts every JSON Schema, including zod's, which has a hidden ~standard, and one from another realm", () => {
    const schema = { type: "object", properties: {} };
    const hidden = Object.defineProperty({ ...schema }, "~standard", { value: { version: 1 } });
    for (const parameters of [schema, {}, hidden, Object.assign(Object.create(null), schema), runInNewContext("({ type: 'object' })")]) {
      expect(createTools([{ name: "look", parameters, run: () => 1 }]).params[0]?.function.parameters).toBe(parameters);
    }
    const nothing = { description: undefined, parameters: undefined, strict: undefined };
    expect(createTools([{ name: "look", ...nothing, run: () => 1 }]).params).toEqual([{ type: "function", function: { name: "look" } }]);
  });

  it("every option may be undefined", () => {
    const names = [
      "authorize", "systemPrompt", "params", "tools", "history", "concurrency", "limits", "timeouts", "flushInterval",
      "showErrors", "generateTitle", "onTurnEnd", "onError", "waitUntil", "generateId", "now",
    ]; // prettier-ignore
    const nothing = Object.fromEntries(names.map((name) => [name, undefined]));
    expect(createChatHandler({ ...good, ...nothing })).toBeTypeOf("function");
    expect(createChatHandler({ ...good, limits: { steps: undefined }, timeouts: {}, history: { maxMessages: undefined } })).toBeTypeOf(
      "function",
    );
  });
});

describe.each(variants)("$name", ({ way }) => {
  it("sends the system prompt first, and does not store or show it", async () => {
    const chat = await startChat({ ...way, systemPrompt: "You are kind." });
    const first = await readResponse(chat.post(chatBody("Hi")));
    await readResponse(chat.post(chatBody("Again", 2)));
    await chat.waitForTurns();
    expect(chat.model.calls[1]?.body.messages).toEqual([
      { role: "system", content: "You are kind." },
      { role: "user", content: "Hi" },
      { role: "assistant", content: "Answer to Hi." },
      { role: "user", content: "Again" },
    ]);
    expect(first.text).not.toContain("kind");
    expect(JSON.stringify(await chat.listStored())).not.toContain("kind");
  });

  it("calls its functions in every turn with the context", async () => {
    const calls: [string, TurnContext][] = [];
    const chat = await startChat({
      ...way,
      authorize: () => ({ owner: "ada" }),
      model: async (context) => (calls.push(["model", context]), `model-for-${context.owner}`),
      systemPrompt: (context) => (calls.push(["systemPrompt", context]), `You help ${context.owner}.`),
      params: async (context) => (calls.push(["params", context]), { temperature: 0.5, metadata: { thesys: context.threadId } }),
    });
    await readResponse(chat.post(chatBody("Hi")));
    expect(chat.model.calls[0]?.body).toEqual({
      model: "model-for-ada",
      temperature: 0.5,
      metadata: { thesys: "t" },
      stream: true,
      messages: [
        { role: "system", content: "You help ada." },
        { role: "user", content: "Hi" },
      ],
    });
    expect(calls.map(([name]) => name).toSorted((a, b) => a.localeCompare(b))).toEqual(["model", "params", "systemPrompt"]);
    for (const [, context] of calls) {
      expect(context).toMatchObject({ owner: "ada", threadId: "t", responseId: "r1", prompt: { id: "p1", role: "user", content: "Hi" } });
      expect(context.request).toBeInstanceOf(Request);
    }
    await readResponse(chat.post(chatBody("Again", 2)));
    expect(calls.length).toBe(6);
    // A replay calls neither the model nor these functions.
    await readResponse(chat.post(chatBody("Hi")));
    expect(calls.length).toBe(6);
  });
});

it("accepts a store whose methods use `this`", async () => {
  class OwnStore implements MessageStore {
    readonly #store = createMemoryStore();
    listMessages = (...given: Parameters<MessageStore["listMessages"]>) => this.#store.listMessages(...given);
    appendMessages(...given: Parameters<MessageStore["appendMessages"]>) {
      return this.#store.appendMessages(...given);
    }
    updateMessage(...given: Parameters<MessageStore["updateMessage"]>) {
      return this.#store.updateMessage(...given);
    }
    deleteMessages(...given: Parameters<MessageStore["deleteMessages"]>) {
      return this.#store.deleteMessages(...given);
    }
  }
  const chat = await startChat({ store: new OwnStore() });
  expect((await readResponse(chat.post(chatBody("Hi")))).text).toBe("Answer to Hi.");
  expect((await readResponse(chat.post(chatBody("Hi")))).text).toBe("Answer to Hi.");
  expect(chat.model.calls.length).toBe(1);
});

describe("by default,", () => {
  it("a turn has at most 8 model calls", async () => {
    const chat = await startChat({ tools: createTools([{ name: "look", run: () => "seen" }]) });
    chat.model.always(callTools({ id: "c1", name: "look", args: {} }));
    expect((await chat.post(chatBody("Hi"))).status).toBe(502);
    expect(chat.model.calls.length).toBe(8);
  });

  it("an answer has at most 1,000,000 characters", async () => {
    const chat = await startChat({ flushInterval: 0 });
    chat.model.next(answerWith("x".repeat(500_000), "y".repeat(500_000)), answerWith("x".repeat(500_000), "y".repeat(500_001)));
    expect((await readResponse(chat.post(chatBody("Hi")))).failed).toBe(false);
    expect((await readResponse(chat.post(chatBody("Ho", 2)))).failed).toBe(true);
  });

  it("a prompt has at most 100,000 characters, and a request 1 MiB", async () => {
    const chat = await startChat();
    expect((await readResponse(chat.post(chatBody("x".repeat(100_000))))).status).toBe(200);
    await expectError(await chat.post(chatBody("x".repeat(100_001), 2)), 400, "invalid_request");
    const padded = (bytes: number) => JSON.stringify(chatBody("Hi", 3)).padEnd(bytes, " ");
    expect((await readResponse(chat.post(padded(1024 * 1024)))).text).toBe("Answer to Hi.");
    await expectError(await chat.post(padded(1024 * 1024 + 1)), 413, "body_too_large");
  });

  it("at most 32 turns wait on a thread", async () => {
    const end = createGate();
    const chat = await startChat({ script: answerAfter([end.opened, "One"]) });
    const running = Array.from({ length: 33 }, (_, n) => readResponse(chat.post(chatBody("Hi", n))));
    await chat.model.call(0);
    await expectError(await chat.post(chatBody("Hi", 33)), 409, "thread_busy");
    end.open();
    for (const { status } of await Promise.all(running)) expect(status).toBe(200);
  });
});

it("sends static params unchanged", async () => {
  const chat = await startChat({ params: { temperature: 0, stream_options: { include_usage: true }, metadata: { thesys: "{}" } } });
  await readResponse(chat.post(chatBody("Hi")));
  expect(chat.model.calls[0]?.body).toMatchObject({ temperature: 0, stream_options: { include_usage: true }, metadata: { thesys: "{}" } });
});

it("ignores params that the handler sets itself", async () => {
  const params = () => ({ messages: [], model: "other", stream: false, temperature: 1 }) as object;
  const chat = await startChat({ params });
  expect((await readResponse(chat.post(chatBody("Hi")))).text).toBe("Answer to Hi.");
  expect(chat.model.calls[0]?.body).toEqual({
    model: "test-model",
    stream: true,
    temperature: 1,
    messages: [{ role: "user", content: "Hi" }],
  });
});

it("sends no system message if the system prompt is empty", async () => {
  const chat = await startChat({ systemPrompt: () => "" });
  await readResponse(chat.post(chatBody("Hi")));
  expect(chat.model.calls[0]?.body.messages).toEqual([{ role: "user", content: "Hi" }]);
});

describe.each(["model", "systemPrompt", "params"] as const)("%s that fails", (option) => {
  const secret = "vault password hunter2";
  it.each<[string, () => unknown]>([
    [
      "throws",
      () => {
        throw new Error(secret);
      },
    ],
    ["rejects", () => Promise.reject(new Error(secret))],
  ])("%s: 500 that leaks nothing, a stored prompt, no model call", async (_, fail) => {
    const chat = await startChat({ [option]: fail });
    const error = await expectError(await chat.post(chatBody("Hi")), 500, "internal");
    expect(error.message).not.toContain(secret);
    await chat.waitForTurns();
    expect(chat.model.calls).toEqual([]);
    expect((await chat.listStored()).map(({ id }) => id)).toEqual(["p1"]);
    expect(chat.errors).toMatchObject([{ code: "internal", cause: { message: secret } }]);
  });

  it("may throw a ChatHandlerError with its own status", async () => {
    const chat = await startChat({
      [option]: () => {
        throw new ChatHandlerError("rate_limited", "Enough for today.", { retryAfter: "3600" });
      },
    });
    const response = await chat.post(chatBody("Hi"));
    expect(response.headers.get("Retry-After")).toBe("3600");
    expect((await expectError(response, 429, "rate_limited")).message).toBe("Enough for today.");
  });

  it("hangs: the turn ends at its timeout, or when the client disconnects", async () => {
    const begun = createGate();
    const hang = () => (begun.open(), new Promise(() => {}));
    const chat = await startChat({ [option]: hang, timeouts: { turn: 100 } });
    await expectError(await chat.post(chatBody("Hi")), 504, "turn_timeout");
    const other = await startChat({ [option]: hang, script: neverAnswer });
    const stop = new AbortController();
    const response = other.post(chatBody("Hi"), { signal: stop.signal });
    await begun.opened;
    stop.abort();
    await response;
    await other.waitForTurns();
    expect(other.model.calls).toEqual([]);
  });
});
