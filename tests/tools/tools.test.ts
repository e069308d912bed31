/** Tools: every call gets its result, and both are stored with the answer or not at all. */
import { setTimeout as delay } from "node:timers/promises";
import type { ChatCompletionChunk, ChatCompletionMessageParam } from "openai/resources/chat/completions";
import { describe, expect, it } from "vitest";
import type { ModelClient } from "../../src/index.ts";
import { type ChatTool, createTools, type ToolContext } from "../../src/tools.ts";
import { chatBody, contentOf, expectError, summarize, readResponse, rolesOf, startChat, variants } from "../support/chat.ts";
import { failOnUnhandledErrors } from "../support/unhandled-errors.ts";
import {
  callTools,
  chunk,
  doneEvent,
  toEvent,
  finishEvent,
  createGate,
  answerWith,
  sendPieces,
  textEvent,
  toolCall,
} from "../support/model-scripts.ts";

failOnUnhandledErrors();

type ToolCallDelta = NonNullable<ChatCompletionChunk.Choice.Delta["tool_calls"]>[number];

const weather: ChatTool = {
  name: "weather",
  description: "The weather in a city.",
  parameters: { type: "object", properties: { city: { type: "string" } } },
  strict: true,
  run: (args) => ({ ...(args as object), degrees: 21 }),
};
const tools = createTools([weather]);
const callsWeather = callTools({ id: "c1", name: "weather", args: { city: "Rome" } });
const resultsOf = (messages: readonly ChatCompletionMessageParam[]) =>
  messages.filter(({ role }) => role === "tool").map(({ content }) => (typeof content === "string" ? content : ""));

describe.each(variants)("$name", ({ way }) => {
  it("runs a tool, sends its result to the model, and stores calls, results and answer as one batch", async () => {
    const chat = await startChat({ ...way, tools, generateId: counter() });
    chat.model.next(
      sendPieces(
        textEvent("Let me look. "),
        toEvent(chunk({ tool_calls: [toolCall("c1", "weather", '{"city":"Rome"}')] })),
        finishEvent("tool_calls"),
        doneEvent,
      ),
      answerWith("It is 21 degrees."),
    );
    expect(await readResponse(chat.post(chatBody("Hi")))).toEqual({ status: 200, text: "Let me look. It is 21 degrees.", failed: false });
    await chat.waitForTurns();
    const tool_calls = [{ id: "c1", type: "function", function: { name: "weather", arguments: '{"city":"Rome"}' } }];
    const step = [
      { role: "assistant", content: "Let me look. ", tool_calls },
      { role: "tool", tool_call_id: "c1", content: '{"city":"Rome","degrees":21}' },
    ];
    expect(chat.model.calls.map(({ body }) => body.messages)).toEqual([
      [{ role: "user", content: "Hi" }],
      [{ role: "user", content: "Hi" }, ...step],
    ]);
    const { name, description, parameters, strict } = weather;
    for (const { body } of chat.model.calls)
      expect(body.tools).toEqual([{ type: "function", function: { name, description, parameters, strict } }]);
    expect((await chat.listStored()).map(({ id, promptId, message }) => ({ id, promptId, message }))).toEqual([
      { id: "p1", promptId: "p1", message: { role: "user", content: "Hi" } },
      { id: "id1", promptId: "p1", message: step[0] },
      { id: "id2", promptId: "p1", message: step[1] },
      { id: "r1", promptId: "p1", message: { role: "assistant", content: "It is 21 degrees." } },
    ]);
    const appended = chat.store.calls.filter(({ method }) => method === "appendMessages").map(({ args }) => (args[1] as unknown[]).length);
    expect(appended).toEqual([1, 3]);
    expect(chat.turnEnds).toMatchObject([{ status: "complete", steps: 2, finishReason: "stop" }]);
    // A replay has the whole text, and the next turn sends all steps to the model.
    expect((await readResponse(chat.post(chatBody("Hi")))).text).toBe("Let me look. It is 21 degrees.");
    await readResponse(chat.post(chatBody("And now?", 2)));
    expect(chat.model.calls[2]?.body.messages.slice(0, 4)).toEqual([
      { role: "user", content: "Hi" },
      ...step,
      { role: "assistant", content: "It is 21 degrees." },
    ]);
  });

  it("aborts a tool when the client disconnects, and does not call the model again", async () => {
    const begun = createGate();
    let given: ToolContext | undefined;
    const slow: ChatTool = {
      name: "slow",
      run: (_, context) => {
        given = context;
        begun.open();
        return new Promise(() => {});
      },
    };
    const chat = await startChat({ ...way, tools: createTools([slow]) });
    chat.model.next(callTools({ id: "c1", name: "slow", args: {} }));
    const stop = new AbortController();
    const response = chat.post(chatBody("Hi"), { signal: stop.signal }).then(readResponse, () => undefined);
    await begun.opened;
    const leftAt = performance.now();
    stop.abort();
    if (!given?.signal.aborted) await new Promise((resolve) => given?.signal.addEventListener("abort", resolve));
    expect(performance.now() - leftAt).toBeLessThan(5_000);
    await response;
    while (chat.turnEnds.length === 0) await delay(1);
    const stopped = await chat.listStored();
    expect(rolesOf(stopped)).toEqual(["user complete", "assistant stopped", "tool stopped"]);
    expect(contentOf(stopped[2])).toBe('{"error":"Stopped before it finished."}');
    // That the tool did not finish is no fault of the tool.
    expect(chat.errors).toEqual([]);
    expect(chat.model.calls.length).toBe(1);
    expect(chat.turnEnds).toMatchObject([{ status: "stopped", finishReason: "tool_calls", steps: 1 }]);
    // The thread can continue, and the same ids get a new answer.
    expect((await readResponse(chat.post(chatBody("Next", 2)))).text).toBe("Answer to Next.");
    expect((await readResponse(chat.post(chatBody("Hi")))).text).toBe("Answer to Hi.");
    await chat.waitForTurns();
    const short = summarize(await chat.listStored());
    expect(short).toContain('assistant r1 complete "Answer to Hi."');
    expect(short.length).toBe(4);
  });
});

describe("a tool's result:", () => {
  const secret = "password hunter2";
  it.each<[name: string, run: ChatTool["run"], result: string | RegExp, isError?: boolean]>([
    ["a string", () => "Sunny", "Sunny"],
    ["an empty string", () => "", ""],
    ["an object", () => ({ a: [1] }), '{"a":[1]}'],
    ["nothing", () => undefined, "null"],
    ["null", () => null, "null"],
    ["a promise", async () => 42, "42"],
    ["a function, which is not JSON", () => () => {}, "null"],
    [
      "a throw",
      () => {
        throw new Error(secret);
      },
      /failed/,
      true,
    ],
    ["a rejection", () => Promise.reject(new Error(secret)), /failed/, true],
    [
      "a circular array, which is not JSON",
      () => {
        const circle: unknown[] = [];
        circle.push(circle);
        return circle;
      },
      /failed/,
      true,
    ],
    ["a bigint, which is not JSON", () => 1n, /failed/, true],
  ])("%s", async (_, run, result, isError = false) => {
    const chat = await startChat({ tools: createTools([{ name: "tool", run }]) });
    chat.model.next(callTools({ id: "c1", name: "tool", args: {} }), answerWith("Done."));
    expect(await readResponse(chat.post(chatBody("Hi")))).toEqual({ status: 200, text: "Done.", failed: false });
    await chat.waitForTurns();
    const [toolResult] = resultsOf(chat.model.calls[1]?.body.messages ?? []);
    const matched = typeof result === "string" ? toolResult === result : result.test(toolResult ?? "");
    expect({ toolResult, matched }).toEqual({ toolResult, matched: true });
    expect(toolResult).not.toContain(secret);
    const failure = { code: "internal", message: "A tool failed.", cause: { message: "The tool tool failed.", cause: expect.any(Error) } };
    expect(chat.errors).toMatchObject(isError ? [failure] : []);
    expect(contentOf((await chat.listStored())[2])).toBe(toolResult);
  });
});

describe("the model's calls:", () => {
  it.each<[name: string, call: { name: string; args: unknown }, args: unknown]>([
    ["arguments", { name: "tool", args: { a: 1 } }, { a: 1 }],
    ["no arguments", { name: "tool", args: "" }, {}],
    ["arguments with only white space", { name: "tool", args: " " }, {}],
    ["arguments that are not an object", { name: "tool", args: "5" }, 5],
    ["arguments that are not JSON", { name: "tool", args: '{"a":' }, undefined],
    ["an unknown tool", { name: "rm", args: {} }, undefined],
    ["a tool with the name of an Object property", { name: "constructor", args: {} }, undefined],
    ["a tool without a name", { name: "", args: {} }, undefined],
    ["a tool with a name that providers reject", { name: "functions.look up", args: {} }, undefined],
    ["a tool with a name that is too long", { name: "a".repeat(100), args: {} }, undefined],
  ])("%s", async (_, { name, args }, expected) => {
    const got: unknown[] = [];
    const chat = await startChat({ tools: createTools([{ name: "tool", run: (given) => (got.push(given), "ok") }]) });
    chat.model.next(callTools({ id: "c1", name, args }), answerWith("Done."));
    expect((await readResponse(chat.post(chatBody("Hi")))).text).toBe("Done.");
    expect(got).toEqual(expected === undefined ? [] : [expected]);
    const [toolResult] = resultsOf(chat.model.calls[1]?.body.messages ?? []);
    expect(toolResult === "ok").toBe(expected !== undefined);
    expect(toolResult ?? "").toMatch(/ok|error/);
    // The model server rejects invalid calls, in this turn and in the next.
    expect((await readResponse(chat.post(chatBody("And now?", 2)))).text).toBe("Answer to And now?.");
    // A wrong call of the model is not an error of the app.
    await chat.waitForTurns();
    expect(chat.errors).toEqual([]);
  });

  const whole = [
    { id: "c1", type: "function", function: { name: "tool", arguments: '{"n":1}' } },
    { id: "c2", type: "function", function: { name: "tool", arguments: '{"n":2}' } },
  ];
  it.each<[string, ToolCallDelta[][]]>([
    [
      "calls in pieces",
      [[toolCall("c1", "tool", "")], [piece(0, '{"n"')], [piece(0, ":1}")], [toolCall("c2", "tool", "", 1)], [piece(1, '{"n":2}')]],
    ],
    [
      "calls in pieces, interleaved",
      [
        [toolCall("c1", "tool", '{"n"'), toolCall("c2", "tool", "{", 1)],
        [piece(1, '"n":2}'), piece(0, ":1}")],
      ],
    ],
    ["whole calls in one chunk", [[toolCall("c1", "tool", '{"n":1}'), toolCall("c2", "tool", '{"n":2}', 1)]]],
    [
      "calls in pieces without an index, some of them empty",
      [
        [unnumbered("c1", '{"n"')],
        [{ function: { arguments: ":1}" } } as ToolCallDelta, { function: null } as never],
        [{ id: "c2", function: { name: "tool" } } as ToolCallDelta],
        [{ function: { arguments: '{"n":2}' } } as ToolCallDelta, {} as ToolCallDelta],
      ],
    ],
    ["whole calls without an index", [[unnumbered("c1", '{"n":1}')], [unnumbered("c2", '{"n":2}')]]],
    ["whole calls with the same index", [[toolCall("c1", "tool", '{"n":1}'), toolCall("c2", "tool", '{"n":2}')]]],
    [
      "calls in pieces with the same index",
      [[toolCall("c1", "tool", "")], [piece(0, '{"n":1}')], [toolCall("c2", "tool", "")], [piece(0, '{"n":2}')]],
    ],
    [
      "calls in pieces that repeat their id, while the name comes in parts",
      [
        [toolCall("c1", "to", "")],
        [toolCall("c1", "ol", '{"n":')],
        [toolCall("c1", "", "1}"), toolCall("c2", "to", "", 1)],
        [toolCall("c2", "ol", '{"n":2}', 1)],
      ],
    ],
    [
      "calls whose pieces have different ids",
      [
        [toolCall("c1", "tool", ""), toolCall("c2", "tool", "", 1)],
        [toolCall("c3", "", '{"n":1}'), toolCall("c4", "", '{"n":2}', 1)],
      ],
    ],
  ])("%s", async (_, deltas) => {
    const chat = await startChat({ tools: createTools([{ name: "tool", run: (args) => args }]) });
    chat.model.next(
      sendPieces(...deltas.map((tool_calls) => toEvent(chunk({ tool_calls }))), finishEvent("tool_calls"), doneEvent),
      answerWith("Done."),
    );
    expect((await readResponse(chat.post(chatBody("Hi")))).text).toBe("Done.");
    const [, callMessage, ...results] = chat.model.calls[1]?.body.messages ?? [];
    expect(callMessage).toMatchObject({ role: "assistant", tool_calls: whole });
    expect(results).toEqual([
      { role: "tool", tool_call_id: "c1", content: '{"n":1}' },
      { role: "tool", tool_call_id: "c2", content: '{"n":2}' },
    ]);
  });

  it("calls without ids get new ids", async () => {
    const chat = await startChat({ tools });
    chat.model.next(callTools({ id: "", name: "weather", args: {} }, { id: "", name: "weather", args: {} }), answerWith("Done."));
    expect((await readResponse(chat.post(chatBody("Hi")))).text).toBe("Done.");
  });

  it("calls with the same id get different ids, each with its result", async () => {
    const chat = await startChat({ tools: createTools([{ name: "tool", run: (args) => args }]) });
    chat.model.next(callTools({ id: "c1", name: "tool", args: { n: 1 } }, { id: "c1", name: "tool", args: { n: 2 } }), answerWith("Done."));
    expect((await readResponse(chat.post(chatBody("Hi")))).text).toBe("Done.");
    const [, callMessage, ...results] = chat.model.calls[1]?.body.messages ?? [];
    const ids = callMessage?.role === "assistant" ? callMessage.tool_calls?.map(({ id }) => id) : undefined;
    expect(results).toEqual([1, 2].map((n, index) => ({ role: "tool", tool_call_id: ids?.[index], content: `{"n":${n}}` })));
  });

  it("further fields of a call are sent back to the provider, and count toward the answer's size", async () => {
    const extra_content = { google: { thought_signature: "s".repeat(500) } };
    const signed = sendPieces(
      toEvent(chunk({ tool_calls: [{ ...toolCall("c1", "weather", "{}"), extra_content } as ToolCallDelta] })),
      finishEvent("tool_calls"),
      doneEvent,
    );
    const chat = await startChat({ tools });
    chat.model.next(signed, answerWith("Done."));
    await readResponse(chat.post(chatBody("Hi")));
    await readResponse(chat.post(chatBody("And now?", 2)));
    for (const { body } of chat.model.calls.slice(1)) expect(body.messages[1]).toMatchObject({ tool_calls: [{ id: "c1", extra_content }] });

    const small = await startChat({ tools, limits: { answerCharacters: 500 } });
    small.model.next(signed);
    expect((await readResponse(small.post(chatBody("Hi")))).status).toBe(502);
    expect(small.errors).toMatchObject([{ code: "answer_too_large" }]);
  });

  it("several calls run at the same time, with results in their order", async () => {
    const both = createGate();
    let running = 0;
    const run = async (args: unknown) => {
      if (++running === 2) both.open();
      await both.opened;
      await delay((args as { wait: number }).wait);
      return args;
    };
    const chat = await startChat({ tools: createTools([{ name: "tool", run }]) });
    chat.model.next(
      callTools({ id: "c1", name: "tool", args: { wait: 10 } }, { id: "c2", name: "tool", args: { wait: 0 } }),
      answerWith("Done."),
    );
    expect((await readResponse(chat.post(chatBody("Hi")))).text).toBe("Done.");
    expect(resultsOf(chat.model.calls[1]?.body.messages ?? [])).toEqual(['{"wait":10}', '{"wait":0}']);
  });

  it("calls with the finish reason stop", async () => {
    const chat = await startChat({ tools });
    chat.model.next(
      sendPieces(toEvent(chunk({ tool_calls: [toolCall("c1", "weather", "{}")] })), finishEvent("stop"), doneEvent),
      answerWith("Done."),
    );
    expect((await readResponse(chat.post(chatBody("Hi")))).text).toBe("Done.");
  });

  it("calls in an app without tools fail the turn", async () => {
    const chat = await startChat();
    chat.model.next(callsWeather);
    expect((await readResponse(chat.post(chatBody("Hi")))).status).toBe(502);
    await chat.waitForTurns();
    expect(rolesOf(await chat.listStored())).toEqual(["user complete"]);
    expect(chat.errors).toMatchObject([{ code: "answer_incomplete" }]);
  });
});

it("streams all text before a tool while the tool runs", async () => {
  const end = createGate();
  const slow = createTools([{ name: "look", run: () => end.opened }]);
  const chat = await startChat({ tools: slow, flushInterval: 300 });
  const calls = toEvent(chunk({ tool_calls: [toolCall("c1", "look", "{}")] }, "tool_calls"));
  chat.model.next(sendPieces(textEvent("Let me"), textEvent(" look."), calls), answerWith(" Done."));
  const reader = (await chat.post(chatBody("Hi"))).body?.pipeThrough(new TextDecoderStream()).getReader();
  let got = "";
  while (got !== "Let me look.") got += (await reader?.read())?.value ?? "";
  end.open();
  expect((await reader?.read())?.value).toBe(" Done.");
});

it("stores the text of each step, and replays each once", async () => {
  const chat = await startChat({ tools });
  const calls = (content: string, id: string) =>
    sendPieces(textEvent(content), toEvent(chunk({ tool_calls: [toolCall(id, "weather", "{}")] }, "tool_calls")));
  chat.model.next(calls("One, ", "c1"), calls("two, ", "c2"), answerWith("three."));
  const whole = { status: 200, text: "One, two, three.", failed: false };
  expect(await readResponse(chat.post(chatBody("Hi")))).toEqual(whole);
  await chat.waitForTurns();
  const texts = (await chat.listStored()).filter(({ message }) => message.role === "assistant").map(contentOf);
  expect(texts).toEqual(["One, ", "two, ", "three."]);
  expect(await readResponse(chat.post(chatBody("Hi")))).toEqual(whole);
});

it("rejects a response id that belongs to a tool result with 409", async () => {
  const chat = await startChat({ tools });
  chat.model.next(callsWeather, answerWith("Sunny."));
  await readResponse(chat.post(chatBody("Hi")));
  const result = (await chat.listStored()).find(({ message }) => message.role === "tool");
  await expectError(await chat.post({ ...chatBody("Hi"), responseId: result!.id }), 409, "id_conflict");
});

it("aborts neither the tools nor the model calls of a finished turn when its client disconnects before it has read the answer", async () => {
  const toolSignals: AbortSignal[] = [];
  const modelSignals: AbortSignal[] = [];
  const client: ModelClient = {
    chat: {
      completions: {
        create(body, options) {
          modelSignals.push(options.signal);
          return chat.model.client().chat.completions.create(body, options);
        },
      },
    },
  };
  const look: ChatTool = { name: "look", run: (_, { signal }) => void toolSignals.push(signal) };
  const chat = await startChat({ client, tools: createTools([look]) });
  chat.model.next(callTools({ id: "c1", name: "look", args: {} }), answerWith("Done."));
  const response = await chat.post(chatBody("Hi"));
  await chat.waitForTurns();
  await response.body?.cancel();
  expect(toolSignals.map(({ aborted }) => aborted)).toEqual([false]);
  expect(modelSignals.map(({ aborted }) => aborted)).toEqual([false, false]);
});

it("gives each tool of a step a context of its own", async () => {
  const owners: unknown[] = [];
  const spoil: ChatTool = {
    name: "tool",
    run(_, context) {
      owners.push(context.owner);
      Object.assign(context, { owner: "eve" });
    },
  };
  const chat = await startChat({ authorize: () => ({ owner: "ada" }), tools: createTools([spoil]) });
  chat.model.next(callTools({ id: "c1", name: "tool", args: {} }, { id: "c2", name: "tool", args: {} }), answerWith("Done."));
  expect((await readResponse(chat.post(chatBody("Hi")))).text).toBe("Done.");
  expect(owners).toEqual(["ada", "ada"]);
});

it("passes the turn's context to a tool", async () => {
  const contexts: ToolContext[] = [];
  const chat = await startChat({
    authorize: () => ({ owner: "ada" }),
    tools: createTools([{ name: "tool", run: (_, context) => void contexts.push(context) }]),
  });
  chat.model.next(callTools({ id: "c1", name: "tool", args: {} }), answerWith("Done."));
  await readResponse(chat.post(chatBody("Hi")));
  const prompt = { id: "p1", role: "user", content: "Hi" };
  expect(contexts).toMatchObject([{ owner: "ada", threadId: "t", responseId: "r1", prompt }]);
  expect(contexts[0]?.request).toBeInstanceOf(Request);
  expect(contexts[0]?.signal.aborted).toBe(false);
});

function piece(index: number, args: string): ToolCallDelta {
  return { index, function: { arguments: args } };
}

/** A whole call without an index, which some providers send. */
function unnumbered(id: string, args: string): ToolCallDelta {
  const { index: _, ...rest } = toolCall(id, "tool", args);
  return rest as ToolCallDelta;
}

function counter(): () => string {
  let count = 0;
  return () => `id${++count}`;
}
