/** The app's functions: what they receive, and that they cannot harm a turn. */
import { setTimeout as delay } from "node:timers/promises";
import { describe, expect, it, vi } from "vitest";
import { ChatHandlerError, type ChatHandlerOptions, type TurnEndEvent, type ErrorContext } from "../../src/index.ts";
import { createTools } from "../../src/tools.ts";
import { chatBody, summarize, readResponse, rolesOf, startChat, variants } from "../support/chat.ts";
import { failOnUnhandledErrors } from "../support/unhandled-errors.ts";
import {
  callTools,
  chunk,
  doneEvent,
  toEvent,
  finishEvent,
  createGate,
  neverAnswer,
  answerWith,
  answerAfter,
  sendPieces,
  answerThenStall,
  textEvent,
  toolCall,
} from "../support/model-scripts.ts";

failOnUnhandledErrors();

const usage = { prompt_tokens: 7, completion_tokens: 3, total_tokens: 10 };
const withUsage = sendPieces(textEvent("Hello."), finishEvent(), toEvent({ choices: [], usage }), toEvent("[DONE]"));

describe("onTurnEnd", () => {
  it("receives a complete turn after it is stored", async () => {
    const ended: [TurnEndEvent, number][] = [];
    const chat = await startChat({
      script: withUsage,
      authorize: () => ({ owner: "ada" }),
      onTurnEnd: async (turn) => void ended.push([turn, (await chat.listStored("t", "ada")).length]),
    });
    await readResponse(chat.post(chatBody("Hi")));
    await chat.waitForTurns();
    expect(ended.length).toBe(1);
    const [[turn, stored] = []] = ended;
    expect(stored).toBe(2);
    expect(turn).toMatchObject({
      owner: "ada",
      threadId: "t",
      responseId: "r1",
      prompt: { id: "p1", role: "user", content: "Hi" },
      status: "complete",
      finishReason: "stop",
      usage,
      steps: 1,
      error: undefined,
    });
    expect(turn?.request).toBeInstanceOf(Request);
    const { queued = -1, firstText = -1, total = -1 } = turn?.timings ?? {};
    expect(queued).toBeGreaterThanOrEqual(0);
    expect(firstText).toBeGreaterThanOrEqual(queued);
    expect(total).toBeGreaterThanOrEqual(firstText);
  });

  it("receives the sum of the tokens of all steps", async () => {
    const chat = await startChat({ tools: createTools([{ name: "look", run: () => "seen" }]) });
    const calls = toEvent(chunk({ tool_calls: [toolCall("c1", "look", "{}")] }));
    chat.model.next(sendPieces(calls, finishEvent("tool_calls"), toEvent({ choices: [], usage }), doneEvent), withUsage);
    await readResponse(chat.post(chatBody("Hi")));
    await chat.waitForTurns();
    expect(chat.turnEnds).toMatchObject([{ steps: 2, usage: { prompt_tokens: 14, completion_tokens: 6, total_tokens: 20 } }]);
  });

  it("receives the tokens of a broken step if the model reported them", async () => {
    const chat = await startChat({ script: sendPieces(toEvent({ ...chunk({ content: "Half" }), usage })) });
    await readResponse(chat.post(chatBody("Hi")));
    await chat.waitForTurns();
    expect(chat.turnEnds).toMatchObject([{ status: "failed", usage }]);
  });

  it("is called once for a failed and a stopped turn, and not for a replay", async () => {
    const chat = await startChat();
    chat.model.next(sendPieces(textEvent("Half")));
    await readResponse(chat.post(chatBody("First", 1)));
    chat.model.next(answerThenStall("Half"));
    const stop = new AbortController();
    const stopped = readResponse(await chat.post(chatBody("Second", 2), { signal: stop.signal }));
    stop.abort();
    await stopped;
    await readResponse(chat.post(chatBody("Third", 3)));
    await readResponse(chat.post(chatBody("Third", 3)));
    await chat.waitForTurns();
    expect(chat.turnEnds.map(({ responseId, status, error, finishReason }) => [responseId, status, error?.code, finishReason])).toEqual([
      ["r1", "failed", "model_failed", undefined],
      ["r2", "stopped", "client_gone", undefined],
      ["r3", "complete", undefined, "stop"],
    ]);
  });

  it("receives the time of the first text", async () => {
    const end = createGate();
    const chat = await startChat({ flushInterval: 0, script: answerAfter([Promise.resolve(), "One,"], [end.opened, " two."]) });
    const seen = readResponse(chat.post(chatBody("Hi")));
    await chat.model.call(0);
    await delay(100);
    end.open();
    await seen;
    await chat.waitForTurns();
    const { firstText = NaN, total } = chat.turnEnds[0]!.timings;
    expect(total - firstText).toBeGreaterThan(50);
  });

  it("receives the time in the queue", async () => {
    const end = createGate();
    const chat = await startChat();
    chat.model.next(answerAfter([end.opened, "One"]));
    const both = [readResponse(chat.post(chatBody("First", 1))), readResponse(chat.post(chatBody("Second", 2)))];
    await chat.model.call(0);
    await delay(30);
    end.open();
    await Promise.all(both);
    await chat.waitForTurns();
    expect(chat.turnEnds[1]?.timings.queued).toBeGreaterThan(25);
  });
});

it("a function of the app that changes its context changes nothing else", async () => {
  const spoil = (context: ErrorContext) => {
    Object.assign(context, { owner: "bob", threadId: "elsewhere", responseId: "r9" });
    if (context.prompt) Object.assign(context.prompt, { id: "p9", content: "Something else" });
    return undefined;
  };
  const chat = await startChat({
    authorize: () => ({ owner: "ada" }),
    model: (context) => spoil(context) ?? "test-model",
    systemPrompt: (context) => spoil(context) ?? "Be brief.",
    params: (context) => spoil(context) ?? {},
    generateTitle: (context) => spoil(context) ?? "Greeting",
    tools: createTools([{ name: "look", run: (_, context) => spoil(context) ?? "seen" }]),
    onTurnEnd: spoil,
    onError: (_, context) => spoil(context),
  });
  const look = callTools({ id: "c1", name: "look", args: {} });
  chat.model.next(look, sendPieces(textEvent("Half")), look, answerWith("Done."));
  expect((await readResponse(chat.post(chatBody("Hi")))).failed).toBe(true);
  expect(await readResponse(chat.post(chatBody("Hi")))).toEqual({ status: 200, text: "Done.", failed: false });
  expect((await readResponse(chat.post(chatBody("Ho", 2)))).text).toBe("Answer to Ho.");
  await chat.waitForTurns();
  expect(chat.model.calls.map(({ body }) => body.messages[1])).toEqual(Array.from({ length: 5 }, () => ({ role: "user", content: "Hi" })));
  const turn = ["user p1", "assistant", "tool", "assistant r1", "user p2", "assistant r2"];
  expect(summarize(await chat.listStored("t", "ada")).map((line, index) => line.slice(0, turn[index]?.length))).toEqual(turn);
  expect(await chat.backingStore.getThread({ owner: "ada", threadId: "t" })).toMatchObject({ title: "Greeting" });
  expect((await chat.backingStore.listThreads("bob", { limit: 1 })).threads).toEqual([]);
});

it("leaves no unhandled rejection if two functions of the app fail", async () => {
  const chat = await startChat({
    model: () => Promise.reject(new Error("no model")),
    systemPrompt: () => {
      throw new Error("no system prompt");
    },
  });
  expect((await chat.post(chatBody("Hi"))).status).toBe(500);
  await chat.waitForTurns();
  expect(chat.errors).toMatchObject([{ code: "internal" }]);
});

it("calls no function of the app if the client has disconnected", async () => {
  const stop = new AbortController();
  const called: string[] = [];
  const chat = await startChat({ model: () => (called.push("model"), "test-model"), params: () => (called.push("params"), {}) });
  chat.store.injectFaults(({ method }) => {
    if (method === "appendMessages") stop.abort();
    return undefined;
  });
  expect((await chat.post(chatBody("Hi"), { signal: stop.signal })).status).toBe(499);
  await chat.waitForTurns();
  expect(called).toEqual([]);
});

it("does not wait for a function of the app after a disconnect", async () => {
  const stop = new AbortController();
  const chat = await startChat({
    params: () => {
      stop.abort();
      return new Promise(() => {});
    },
  });
  expect((await chat.post(chatBody("Hi"), { signal: stop.signal })).status).toBe(499);
  await chat.waitForTurns();
  expect(chat.model.calls).toEqual([]);
});

it("adds up the tokens of the steps, and survives invalid usage", async () => {
  const odd = { prompt_tokens: { toString: 1, valueOf: 1 }, completion_tokens: "3", total_tokens: 4 };
  const chat = await startChat({ tools: createTools([{ name: "look", run: () => "seen" }]) });
  chat.model.next(
    sendPieces(
      toEvent(chunk({ tool_calls: [toolCall("c1", "look", "{}")] })),
      finishEvent("tool_calls"),
      toEvent({ choices: [], usage }),
      doneEvent,
    ),
    sendPieces(textEvent("Done."), finishEvent(), toEvent({ choices: [], usage: odd }), doneEvent),
  );
  expect((await readResponse(chat.post(chatBody("Hi")))).text).toBe("Done.");
  await chat.waitForTurns();
  expect(chat.turnEnds).toMatchObject([{ usage: { prompt_tokens: 7, completion_tokens: 3, total_tokens: 14 } }]);
});

describe("onError", () => {
  it("receives the error with its cause and the known context", async () => {
    const reported: [ChatHandlerError, ErrorContext][] = [];
    const chat = await startChat({
      authorize: () => ({ owner: "ada" }),
      onError: (error, context) => void reported.push([error, context]),
    });
    await chat.post("{");
    await chat.post(chatBody("Hi", 1), { method: "PUT" });
    chat.model.next(async (call) => call.head(500));
    await chat.post(chatBody("Hi", 1));
    await chat.waitForTurns();
    expect(reported.map(([{ code }]) => code)).toEqual(["invalid_json", "method_not_allowed", "model_failed"]);
    expect(reported.map(([, context]) => context.threadId)).toEqual([undefined, undefined, "t"]);
    expect(reported[2]?.[1]).toMatchObject({ owner: "ada", responseId: "r1", prompt: { id: "p1" } });
    for (const [error, { request }] of reported) {
      expect(error).toBeInstanceOf(ChatHandlerError);
      expect(request).toBeInstanceOf(Request);
    }
    expect(reported[0]?.[0].cause).toBeInstanceOf(SyntaxError);
    expect(reported[2]?.[0].cause).toMatchObject({ status: 500 });
  });

  it.each([new RangeError("no more ids"), undefined])("receives what an option throws as a ChatHandlerError: %s", async (cause) => {
    const chat = await startChat({
      tools: createTools([{ name: "look", run: () => "seen" }]),
      generateId: () => {
        // Any value can be thrown.
        throw cause as Error;
      },
    });
    chat.model.next(callTools({ id: "c1", name: "look", args: {} }), answerWith("Done."));
    expect((await readResponse(chat.post(chatBody("Hi")))).failed).toBe(true);
    await chat.waitForTurns();
    expect(chat.errors.length).toBeGreaterThan(0);
    for (const error of chat.errors) expect(error).toMatchObject({ name: "ChatHandlerError", code: "internal", cause });
  });

  it("is not called for a disconnect", async () => {
    const chat = await startChat({ script: neverAnswer });
    const stop = new AbortController();
    const response = chat.post(chatBody("Hi"), { signal: stop.signal });
    await chat.model.call(0);
    stop.abort();
    await response;
    await chat.waitForTurns();
    expect(chat.errors).toEqual([]);
  });

  it("is console.error by default, for errors that the client did not cause", async () => {
    const log = vi.spyOn(console, "error").mockImplementation(() => {});
    try {
      const chat = await startChat({ onError: undefined });
      await chat.post("{");
      expect(log).not.toHaveBeenCalled();
      chat.model.next(async (call) => call.head(500));
      await chat.post(chatBody("Hi"));
      await chat.waitForTurns();
      expect(log).toHaveBeenCalledTimes(1);
      expect(log.mock.calls[0]).toEqual([
        expect.stringMatching(/^chat-handler: model_failed \(502\): The model could not answer\. \| cause: /),
      ]);
      chat.model.next(async (call) => call.head(429));
      await chat.post(chatBody("Hi"));
      await chat.waitForTurns();
      expect(log).toHaveBeenCalledTimes(2);
    } finally {
      log.mockRestore();
    }
  });
});

const faulty: [name: string, hook: () => unknown][] = [
  [
    "throws",
    () => {
      throw new Error("hook");
    },
  ],
  ["rejects", () => Promise.reject(new Error("hook"))],
  ["hangs", () => new Promise(() => {})],
  [
    "rejects late",
    async () => {
      await delay(1);
      throw new Error("hook");
    },
  ],
];

describe.each(faulty)("a hook that %s does not harm the turn:", (name, hook) => {
  describe.each(variants.slice(0, 2))("$name", ({ way }) => {
    it.each(["onTurnEnd", "onError", "waitUntil", "generateTitle"] as const)("%s", async (option) => {
      const errors: ChatHandlerError[] = [];
      const options = {
        onError: (error) => void errors.push(error),
        timeouts: { turn: 1000 },
        [option]: hook,
      } as Partial<ChatHandlerOptions>;
      const chat = await startChat({ ...way, ...options });
      chat.model.next(sendPieces(textEvent("Half")), answerWith("Whole."));
      expect((await readResponse(chat.post(chatBody("Hi")))).failed).toBe(true);
      expect(await readResponse(chat.post(chatBody("Hi")))).toEqual({ status: 200, text: "Whole.", failed: false });
      expect((await readResponse(chat.post(chatBody("Next", 2)))).text).toBe("Answer to Next.");
      await delay(5);
      expect((await chat.listStored()).map(({ id, status }) => `${id} ${status}`)).toEqual([
        "p1 complete",
        "r1 complete",
        "p2 complete",
        "r2 complete",
      ]);
      // An error of a hook goes to onError. An error of onError is ignored.
      const isTold = option !== "onError" && name !== "hangs";
      expect(errors.some(({ code }) => code === "internal")).toBe(isTold);
    });
  });
});

describe("waitUntil", () => {
  it("receives a promise that resolves after the turn is stored and onTurnEnd has returned", async () => {
    const promises: Promise<void>[] = [];
    const held = createGate();
    const chat = await startChat({ waitUntil: (promise) => void promises.push(promise) });
    chat.store.injectFaults(({ method, nth }) => (method === "appendMessages" && nth === 1 ? { before: held.opened } : undefined));
    let isSettled = false;
    const seen = readResponse(chat.post(chatBody("Hi")));
    await chat.model.call(0);
    expect(promises.length).toBe(1);
    void promises[0]?.then(() => (isSettled = true));
    await delay(20);
    expect(isSettled).toBe(false);
    held.open();
    await seen;
    await promises[0];
    expect(chat.turnEnds.length).toBe(1);
    chat.store.injectFaults(() => "reject");
    await chat.post(chatBody("Other", 2));
    expect(await promises[1]).toBeUndefined();
  });

  it("receives a promise that resolves although onTurnEnd hangs, once a turn's time is over", async () => {
    const promises: Promise<void>[] = [];
    const chat = await startChat({
      waitUntil: (promise) => void promises.push(promise),
      onTurnEnd: () => new Promise(() => {}),
      timeouts: { turn: 300 },
    });
    expect((await readResponse(chat.post(chatBody("Hi")))).text).toBe("Answer to Hi.");
    await promises[0];
    expect(chat.errors.map(({ cause }) => String(cause))).toEqual(["Error: onTurnEnd took longer than 300 ms."]);
  });
});

describe("the ids and the clock", () => {
  it("come from generateId and now", async () => {
    let time = 1_000;
    const chat = await startChat({
      now: () => time++,
      generateId: () => `id-${time}`,
      tools: createTools([{ name: "look", run: () => "seen" }]),
    });
    chat.model.next(callTools({ id: "c1", name: "look", args: {} }), answerWith("Done."));
    await readResponse(chat.post(chatBody("Hi")));
    await chat.waitForTurns();
    const stored = await chat.listStored();
    expect(stored.every(({ createdAt }) => createdAt >= 1_000 && createdAt < time)).toBe(true);
    expect(stored.slice(1, 3).every(({ id }) => id.startsWith("id-1"))).toBe(true);
  });

  it("are current and distinct by default", async () => {
    const chat = await startChat({ tools: createTools([{ name: "look", run: () => "seen" }]) });
    chat.model.next(callTools({ id: "c1", name: "look", args: {} }), answerWith("Done."));
    const before = Date.now();
    await readResponse(chat.post(chatBody("Hi")));
    await chat.waitForTurns();
    const stored = await chat.listStored();
    for (const { createdAt } of stored) expect(createdAt >= before && createdAt <= Date.now()).toBe(true);
    expect(new Set(stored.map(({ id }) => id)).size).toBe(4);
  });

  it.each(["now", "generateId"] as const)("fail the turn if %s throws, and keep what is stored", async (option) => {
    let isBroken = false;
    const make = () => {
      if (isBroken) throw new Error("clock password hunter2");
      return option === "now" ? 1 : crypto.randomUUID();
    };
    const chat = await startChat({ [option]: make, tools: createTools([{ name: "look", run: () => "seen" }]) });
    const answerWithTool = [callTools({ id: "c1", name: "look", args: {} }), answerWith("Done.")];
    chat.model.next(...answerWithTool);
    isBroken = true;
    const seen = await readResponse(chat.post(chatBody("Hi")));
    expect(seen.failed || seen.status === 500).toBe(true);
    expect(seen.text).not.toContain("hunter2");
    await chat.waitForTurns();
    isBroken = false;
    const healthy = await startChat({ sharesStoreWith: chat, tools: createTools([{ name: "look", run: () => "seen" }]) });
    healthy.model.next(...answerWithTool);
    expect((await readResponse(healthy.post(chatBody("Hi")))).text).toBe("Done.");
    expect(rolesOf(await chat.listStored())).toEqual(["user complete", "assistant complete", "tool complete", "assistant complete"]);
  });
});
