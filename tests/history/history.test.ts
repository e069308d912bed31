/** What the model receives: a provider accepts it, even if the history is broken. */
import { ReadableStream } from "node:stream/web";
import fc from "fast-check";
import type { ChatCompletionChunk, ChatCompletionMessageParam } from "openai/resources/chat/completions";
import { describe, expect, it } from "vitest";
import { createChatHandler, createMemoryStore, type ModelClient, type StoredMessage, type ThreadStore } from "../../src/index.ts";
import { findProblem } from "../../src/lib/demo-model/history.ts";
import { createTools } from "../../src/tools.ts";
import { chatBody, expectError, summarize, readResponse, startChat } from "../support/chat.ts";
import { failOnUnhandledErrors } from "../support/unhandled-errors.ts";
import { post } from "../support/handler-server.ts";
import {
  chunk,
  doneEvent,
  toEvent,
  finishEvent,
  createGate,
  answerWith,
  answerAfter,
  sendPieces,
  textEvent,
} from "../support/model-scripts.ts";

failOnUnhandledErrors();

type Message = ChatCompletionMessageParam;

const user = (content: Message["content"]) => ({ role: "user", content }) as Message;
const assistant = (content: Message["content"], ...ids: string[]) =>
  ({ role: "assistant", content, ...(ids.length > 0 && { tool_calls: ids.map(call) }) }) as Message;
const call = (id: string) => ({ id, type: "function" as const, function: { name: "look", arguments: "{}" } });
/** A tool call. */
const calls = (called: unknown) =>
  ({ role: "assistant", content: null, tool_calls: [{ id: "c1", type: "function", function: called }] }) as Message;
const result = (tool_call_id: string, content = "seen"): Message => ({ role: "tool", tool_call_id, content });
const hi = user("Hi");
const image = { type: "image_url" as const, image_url: { url: "https://example.com/a.png" } };
const custom = {
  role: "assistant",
  content: null,
  tool_calls: [{ id: "c1", type: "custom", custom: { name: "run", input: "ls" } }],
} as Message;

/** Stored messages of one earlier turn. */
const stored = (messages: readonly Message[], promptId = "old"): StoredMessage[] =>
  messages.map((message, index) => ({ id: `${promptId}-${index}`, promptId, message, status: "complete", createdAt: 0 }));

describe("a broken history is repaired on the way to the model, and does not change in the store:", () => {
  it.each<[name: string, history: Message[], sent: Message[]]>([
    [
      "messages of the app itself, which are not",
      [user("a"), { role: "system", content: "Be brief." }, { role: "developer", content: "And kind." }, assistant("b")],
      [user("a"), { role: "system", content: "Be brief." }, { role: "developer", content: "And kind." }, assistant("b")],
    ],
    [
      "a result without content",
      [user("a"), assistant(null, "c1"), result("c1", null!)],
      [user("a"), assistant(null, "c1"), result("c1", "")],
    ],
    ["a call without its result", [user("a"), assistant(null, "c1")], [user("a")]],
    ["a call without its result, with text", [user("a"), assistant("Let me see", "c1")], [user("a"), assistant("Let me see")]],
    ["a result without its call", [user("a"), result("c1"), assistant("b")], [user("a"), assistant("b")]],
    [
      "one of two results missing",
      [user("a"), assistant(null, "c1", "c2"), result("c2")],
      [user("a"), assistant(null, "c2"), result("c2")],
    ],
    [
      "a result without its call, beside a valid one",
      [user("a"), assistant(null, "c1"), result("c9"), result("c1")],
      [user("a"), assistant(null, "c1"), result("c1")],
    ],
    [
      "results out of order",
      [user("a"), assistant(null, "c1", "c2"), result("c2", "two"), result("c1", "one"), assistant("b")],
      [user("a"), assistant(null, "c1", "c2"), result("c1", "one"), result("c2", "two"), assistant("b")],
    ],
    [
      "a result twice",
      [user("a"), assistant(null, "c1"), result("c1", "one"), result("c1", "two")],
      [user("a"), assistant(null, "c1"), result("c1", "one")],
    ],
    [
      "a call id twice in one message",
      [user("a"), assistant(null, "c1", "c1"), result("c1")],
      [user("a"), assistant(null, "c1"), result("c1")],
    ],
    ["a result before its call", [user("a"), result("c1"), assistant(null, "c1")], [user("a")]],
    ["a result after another message", [user("a"), assistant(null, "c1"), assistant("b"), result("c1")], [user("a"), assistant("b")]],
    ["an empty assistant message", [user("a"), assistant(""), assistant(null), assistant("b")], [user("a"), assistant("b")]],
    ["an assistant message with only white space", [user("a"), assistant(" \n")], [user("a")]],
    ["an assistant message without parts", [user("a"), assistant([])], [user("a")]],
    ["an empty list of calls", [user("a"), { role: "assistant", content: "b", tool_calls: [] }], [user("a"), assistant("b")]],
    [
      "calls that are null",
      [user("a"), { role: "assistant", content: "b", tool_calls: null } as unknown as Message],
      [user("a"), assistant("b")],
    ],
    [
      "calls that are not objects",
      [user("a"), { role: "assistant", content: "b", tool_calls: [null, {}, 1] } as unknown as Message],
      [user("a"), assistant("b")],
    ],
    [
      "calls that are not an array",
      [user("a"), { role: "assistant", content: "b", tool_calls: {} } as unknown as Message],
      [user("a"), assistant("b")],
    ],
    ["empty parts", [user([{ type: "text", text: " " }, image])], [user([image])]],
    ["only empty parts", [user("a"), assistant([{ type: "text", text: "" }])], [user("a")]],
    ["content that is neither text nor parts", [user("a"), { role: "assistant", content: {} } as unknown as Message], [user("a")]],
    ["parts that are null", [user([null, { type: "text", text: "a" }] as never)], [user([{ type: "text", text: "a" }])]],
    [
      "a message without a role, or with an unknown one",
      [{ content: "x" }, { role: "note", content: "x" }, user("a")] as Message[],
      [user("a")],
    ],
    ...[
      ["incomplete arguments", { name: "look", arguments: '{"city":"Par' }, { name: "look", arguments: "{}" }],
      ["missing arguments", { name: "look", arguments: "" }, { name: "look", arguments: "{}" }],
      ["arguments that are not an object", { name: "look", arguments: "[1]" }, { name: "look", arguments: "{}" }],
      ["an illegal name", { name: "look up!", arguments: '{"a":1}' }, { name: "look_up_", arguments: '{"a":1}' }],
      ["a name that is too long", { name: "x".repeat(99), arguments: "{}" }, { name: "x".repeat(64), arguments: "{}" }],
      ["neither name nor arguments", {}, { name: "_", arguments: "{}" }],
      ["a name that is not a string", { name: 7, arguments: { a: 1 } }, { name: "7", arguments: "{}" }],
      ["no function", undefined, { name: "_", arguments: "{}" }],
    ].map(
      ([what, called, sent]) =>
        [`a call with ${what as string}`, [user("a"), calls(called), result("c1")], [user("a"), calls(sent), result("c1")]] as [
          string,
          Message[],
          Message[],
        ],
    ),
    ["a call of a custom tool is unchanged", [user("a"), custom, result("c1")], [user("a"), custom, result("c1")]],
    ["an empty user message", [user("a"), assistant("b"), user("")], [user("a"), assistant("b")]],
    ["a start without a user message", [assistant("b"), user("a")], [user("a")]],
    ["consecutive prompts", [user("a"), user("b")], [user("a"), user("b")]],
    [
      "unknown fields",
      [
        Object.assign(user("a"), { id: "m1", createdAt: 1 }),
        Object.assign(assistant("b", "c1"), { id: "m2", refusal: null }),
        Object.assign(result("c1"), { id: "m3" }),
      ],
      [user("a"), assistant("b", "c1"), result("c1")],
    ],
    [
      "a call with text keeps both",
      [user("a"), assistant("Look:", "c1"), result("c1")],
      [user("a"), assistant("Look:", "c1"), result("c1")],
    ],
    ["white space beside a call", [user("a"), assistant(" ", "c1"), result("c1")], [user("a"), assistant(null, "c1"), result("c1")]],
    ["an empty result is kept", [user("a"), assistant(null, "c1"), result("c1", "")], [user("a"), assistant(null, "c1"), result("c1", "")]],
    ["a name", [{ ...user("a"), name: "Ada" } as Message], [{ ...user("a"), name: "Ada" } as Message]],
  ])("%s", async (_, history, sent) => {
    const chat = await startChat();
    await chat.backingStore.appendMessages({ owner: "", threadId: "t" }, stored(history));
    const before = await chat.listStored();
    expect((await readResponse(chat.post(chatBody("Hi")))).text).toBe("Answer to Hi.");
    expect(chat.model.calls[0]?.body.messages).toEqual([...sent, hi]);
    expect((await chat.listStored()).slice(0, before.length)).toEqual(before);
  });

  it("messages that a store returns twice", async () => {
    const kept = createMemoryStore();
    const twice = stored([user("a"), assistant("b")]);
    const chat = await startChat({ store: { ...kept, listMessages: async () => [...twice, ...twice] } });
    await readResponse(chat.post(chatBody("Hi")));
    expect(chat.model.calls[0]?.body.messages).toEqual([user("a"), assistant("b"), hi]);
  });

  it("a replayed answer that a store returns twice", async () => {
    const kept = createMemoryStore();
    const listMessages: typeof kept.listMessages = async (...given) => {
      const messages = await kept.listMessages(...given);
      return [...messages, ...messages];
    };
    const chat = await startChat({ store: { ...kept, listMessages } });
    for (let times = 0; times < 2; times++) expect((await readResponse(chat.post(chatBody("Hi")))).text).toBe("Answer to Hi.");
    expect(chat.model.calls.length).toBe(1);
  });

  it("a retried answer after the next prompt, when that is retried, too", async () => {
    const chat = await startChat();
    chat.model.next(sendPieces(textEvent("Half")), sendPieces(textEvent("Half")));
    for (const [content, n] of [
      ["a", 1],
      ["b", 2],
      ["a", 1],
      ["b", 2],
    ] as const)
      await readResponse(chat.post(chatBody(content, n)));
    expect(chat.model.calls[3]?.body.messages).toEqual([user("a"), assistant("Answer to a."), user("b")]);
  });

  it("values that are not messages", async () => {
    const kept = createMemoryStore();
    const history = [null, undefined, {}, { id: "x" }, ...stored([user("a"), assistant("b")])] as StoredMessage[];
    const chat = await startChat({ store: { ...kept, listMessages: async () => history } });
    await readResponse(chat.post(chatBody("Hi")));
    expect(chat.model.calls[0]?.body.messages).toEqual([user("a"), assistant("b"), hi]);
  });

  it("interleaved turns of two processes", async () => {
    const chat = await startChat();
    const [one, two] = [stored([user("a"), assistant("A")], "one"), stored([user("b"), assistant("B")], "two")];
    await chat.backingStore.appendMessages({ owner: "", threadId: "t" }, [one[0], two[0], two[1], one[1]] as StoredMessage[]);
    await readResponse(chat.post(chatBody("Hi")));
    expect(chat.model.calls[0]?.body.messages).toEqual([user("a"), assistant("A"), user("b"), assistant("B"), hi]);
  });
});

it("a retried answer is sent with its prompt, or not at all", async () => {
  const chat = await startChat({ history: { maxMessages: 6 } });
  const turns = [1, 2, 3, 4].flatMap((n) => stored([user(`Q${n}`), assistant(`A${n}`)], `q${n}`));
  const late = { ...stored([user("Q1"), assistant("A1")], "q1")[1]!, id: "late" };
  await chat.backingStore.appendMessages({ owner: "", threadId: "t" }, [...turns, late]);
  await readResponse(chat.post(chatBody("Hi")));
  const texts = chat.model.calls[0]?.body.messages.map(({ content }) => content);
  expect(texts).toEqual(["Q3", "A3", "Q4", "A4", "Hi"]);
});

describe("a random history", () => {
  const ids = fc.constantFrom("c1", "c2", "c3", "");
  const content = fc.constantFrom<Message["content"][]>(null, undefined, "", " ", "text", [], [{ type: "text", text: "part" }]);
  const message = fc.oneof(
    fc.record({ role: fc.constantFrom("user", "system", "developer"), content, id: ids }),
    fc.record(
      { role: fc.constant("assistant"), content, tool_calls: fc.option(fc.array(ids.map(call), { maxLength: 4 })) },
      { requiredKeys: ["role"] },
    ),
    fc.record({ role: fc.constant("tool"), tool_call_id: ids, content, extra: ids }),
  );
  const history = fc.array(
    fc.record({
      id: fc.integer({ min: 0, max: 40 }).map((n) => `m${n}`),
      promptId: fc.constantFrom("a", "b", "c", "p1x"),
      message,
      status: fc.constantFrom("complete", "stopped", "failed"),
      createdAt: fc.nat(),
    }),
    { maxLength: 25 },
  );
  const known = new Set(["role", "content", "name", "tool_calls", "tool_call_id"]);

  it("becomes a request that a provider accepts, within the window, with the prompt last", async () => {
    await fc.assert(
      fc.asyncProperty(history, fc.integer({ min: 1, max: 30 }), async (messages, last) => {
        const sent: Message[][] = [];
        const kept = createMemoryStore();
        const store = { ...kept, listMessages: async () => messages as unknown as StoredMessage[] };
        const handler = createChatHandler({ store, client: listening(sent), model: "m", history: { maxMessages: last } });
        const seen = await readResponse(handler(new Request("http://chat.test", post(chatBody("Hi")))));
        expect(seen).toEqual({ status: 200, text: "Hello.", failed: false });
        const [request = []] = sent;
        expect(findProblem(request)).toBeUndefined();
        expect(request.length).toBeLessThanOrEqual(last);
        expect(request.at(-1)).toEqual(hi);
        for (const one of request) for (const field of Object.keys(one)) expect(known).toContain(field);
      }),
      { numRuns: 500 },
    );
  });
});

describe("history.maxMessages", () => {
  const turns = (count: number) => Array.from({ length: count }, (_, n) => stored([user(`q${n}`), assistant(`a${n}`)], `turn${n}`)).flat();

  it.each([1, 2, 3, 10])("sends at most the newest %d including the prompt, starting with a prompt, and reads no more", async (last) => {
    const chat = await startChat({ history: { maxMessages: last } });
    await chat.backingStore.appendMessages({ owner: "", threadId: "t" }, turns(30));
    await readResponse(chat.post(chatBody("Hi")));
    const sent = chat.model.calls[0]?.body.messages ?? [];
    const whole = last - 1 - ((last - 1) % 2);
    expect(sent).toEqual([
      ...turns(30)
        .slice(60 - whole)
        .map(({ message }) => message),
      hi,
    ]);
    expect(chat.store.calls.filter(({ method }) => method === "listMessages").map(({ args }) => args[1])).toMatchObject([{ last }]);
  });

  it("is 100 by default", async () => {
    const chat = await startChat();
    await chat.backingStore.appendMessages({ owner: "", threadId: "t" }, turns(200));
    await readResponse(chat.post(chatBody("Hi")));
    expect(chat.model.calls[0]?.body.messages.length).toBe(99);
    expect(chat.store.calls[0]?.args[1]).toMatchObject({ last: 100 });
  });

  it.each([2, 3, 4, 5, 6])("never splits a call from its results (last: %d)", async (last) => {
    const chat = await startChat({ history: { maxMessages: last } });
    const turn = [user("a"), assistant(null, "c1", "c2"), result("c1"), result("c2"), assistant("b")];
    await chat.backingStore.appendMessages({ owner: "", threadId: "t" }, stored(turn));
    await readResponse(chat.post(chatBody("Hi")));
    expect(chat.model.calls[0]?.body.messages).toEqual(last === 6 ? [...turn, hi] : [hi]);
  });

  it("replays the whole answer if the window starts inside it", async () => {
    const tools = createTools([{ name: "look", run: () => "seen" }]);
    const options = { tools, history: { maxMessages: 2 } };
    const chat = await startChat(options);
    chat.model.next(sendPieces(textEvent("Let me look. "), callEvent(), finishEvent("tool_calls"), doneEvent), answerWith("Done."));
    const first = await readResponse(chat.post(chatBody("Hi")));
    expect(first).toEqual({ status: 200, text: "Let me look. Done.", failed: false });
    await chat.waitForTurns();
    expect((await chat.listStored()).length).toBe(4);
    expect(await readResponse(chat.post(chatBody("Hi")))).toEqual(first);
    // Also while another turn of the thread runs.
    const end = createGate();
    chat.model.next(answerAfter([end.opened, "Later"]));
    const running = chat.post(chatBody("More", 2));
    await chat.model.call(2);
    expect(await readResponse(chat.post(chatBody("Hi")))).toEqual(first);
    end.open();
    expect((await readResponse(running)).text).toBe("Later");
  });

  it("replays an answer whose last step is empty and whose text is further back than the window", async () => {
    const chat = await startChat({ history: { maxMessages: 1 }, tools: createTools([{ name: "look", run: () => "seen" }]) });
    chat.model.next(
      sendPieces(textEvent("Sunny, I think."), toEvent(chunk({ tool_calls: [call("c1")] } as object, "tool_calls"))),
      sendPieces(finishEvent()),
    );
    for (let times = 0; times < 2; times++) expect((await readResponse(chat.post(chatBody("Hi")))).text).toBe("Sunny, I think.");
    expect(chat.model.calls.length).toBe(2);
  });

  it("replays an answer further back than the window, and replaces a partial one", async () => {
    const chat = await startChat({ history: { maxMessages: 4 } });
    chat.model.next(sendPieces(textEvent("Half")));
    await readResponse(chat.post(chatBody("First", 1)));
    for (let n = 2; n <= 10; n++) await readResponse(chat.post(chatBody(`Prompt ${n}`, n)));
    const calls = chat.model.calls.length;
    expect((await readResponse(chat.post(chatBody("Prompt 2", 2)))).text).toBe("Answer to Prompt 2.");
    expect(chat.model.calls.length).toBe(calls);
    expect((await readResponse(chat.post(chatBody("First", 1)))).text).toBe("Answer to First.");
    // Messages after the prompt are not sent.
    expect(chat.model.calls.at(-1)?.body.messages).toEqual([user("First")]);
    await chat.waitForTurns();
    expect(summarize(await chat.listStored()).at(-1)).toBe('assistant r1 complete "Answer to First."');
    expect((await chat.listStored()).length).toBe(20);
  });

  it("answers 409 when a prompt further back than the window is deleted while it is looked for", async () => {
    const memory = createMemoryStore();
    let isDeleted = false;
    const kept: ThreadStore = {
      ...memory,
      async appendMessages(...args) {
        const ids = await memory.appendMessages(...args);
        if (isDeleted) await memory.deleteMessages(args[0], ["p1"]);
        return ids;
      },
    };
    const chat = await startChat({ backingStore: kept, history: { maxMessages: 1 } });
    chat.model.next(sendPieces(textEvent("Half")));
    await readResponse(chat.post(chatBody("First", 1)));
    await readResponse(chat.post(chatBody("Second", 2)));
    await chat.waitForTurns();
    const calls = chat.model.calls.length;
    isDeleted = true;
    await expectError(await chat.post(chatBody("First", 1)), 409, "thread_deleted");
    await chat.waitForTurns();
    expect(chat.model.calls.length).toBe(calls);
    expect((await chat.listStored()).map(({ id }) => id)).not.toContain("p1");
  });

  it("rejects an id that was used before the window", async () => {
    const chat = await startChat({ history: { maxMessages: 2 } });
    for (let n = 1; n <= 5; n++) await readResponse(chat.post(chatBody(`Prompt ${n}`, n)));
    await chat.waitForTurns();
    const before = await chat.listStored();
    for (const request of [
      chatBody("Other", 1),
      { ...chatBody("Prompt 1", 1), responseId: "new" },
      { ...chatBody("New", "new"), responseId: "r1" },
    ]) {
      const seen = await readResponse(chat.post(request));
      expect(seen.status === 409 || seen.failed).toBe(true);
    }
    await chat.waitForTurns();
    // The prompt may remain, and no stored message has changed.
    expect((await chat.listStored()).slice(0, before.length)).toEqual(before);
  });
});

const callEvent = () =>
  `data: ${JSON.stringify(chunk({ tool_calls: [{ index: 0, id: "c1", type: "function", function: { name: "look", arguments: "{}" } }] }))}\n\n`;

/** A client that records its requests and answers Hello. */
function listening(sent: Message[][]): ModelClient {
  const create: ModelClient["chat"]["completions"]["create"] = async ({ messages }) => {
    sent.push(messages);
    return ReadableStream.from([chunk({ content: "Hello." }, "stop")] as ChatCompletionChunk[]);
  };
  return { chat: { completions: { create } } };
}
