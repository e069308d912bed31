/** Turns with tools that fail: calls with results are stored, and replaced on a retry. */
import { describe, expect, it } from "vitest";
import { createTools } from "../../src/tools.ts";
import { chatBody, summarize, readResponse, rolesOf, startChat } from "../support/chat.ts";
import { failOnUnhandledErrors } from "../support/unhandled-errors.ts";
import type { Script } from "../support/model-server.ts";
import {
  callTools,
  chunk,
  doneEvent,
  toEvent,
  finishEvent,
  neverAnswer,
  answerWith,
  sendPieces,
  textEvent,
  toolCall,
} from "../support/model-scripts.ts";

failOnUnhandledErrors();

const tools = createTools([{ name: "weather", run: () => "Sunny" }]);
const callsWeather = callTools({ id: "c1", name: "weather", args: { city: "Rome" } });

describe("a turn with tools", () => {
  it("ends after limits.steps model calls, and stores its calls and results", async () => {
    const chat = await startChat({ tools, limits: { steps: 3 }, script: callsWeather });
    const seen = await readResponse(chat.post(chatBody("Hi")));
    expect(seen.status === 502 || seen.failed).toBe(true);
    await chat.waitForTurns();
    expect(chat.model.calls.length).toBe(3);
    expect(chat.turnEnds).toMatchObject([{ steps: 3 }]);
    expect(chat.errors).toMatchObject([{ code: "answer_incomplete" }]);
    const step = ["assistant failed", "tool failed"];
    expect(rolesOf(await chat.listStored())).toEqual(["user complete", ...step, ...step, ...step]);
  });

  it("never ends cleanly if a message already has the answer's id", async () => {
    const chat = await startChat({ tools, generateId: () => "r1" });
    chat.model.next(callsWeather, answerWith("Done."));
    expect((await readResponse(chat.post(chatBody("Hi")))).failed).toBe(true);
  });

  it("stores nothing if generateId returns an id twice, and succeeds on a retry", async () => {
    for (const generateId of [() => "r1", () => "x"]) {
      const chat = await startChat({ tools, generateId });
      chat.model.next(callsWeather, answerWith("Done."));
      expect((await readResponse(chat.post(chatBody("Hi")))).failed).toBe(true);
      await chat.waitForTurns();
      expect(rolesOf(await chat.listStored())).toEqual(["user complete"]);
      const causes = chat.errors.map(({ cause }) => (cause as Error | undefined)?.message);
      expect(causes).toContain("generateId() must return a new id at each call.");
      const healed = await startChat({ sharesStoreWith: chat, tools });
      healed.model.next(callsWeather, answerWith("Done."));
      expect(await readResponse(healed.post(chatBody("Hi")))).toEqual({ status: 200, text: "Done.", failed: false });
    }
  });

  it("may make exactly limits.steps model calls", async () => {
    const chat = await startChat({ tools, limits: { steps: 2 } });
    chat.model.next(callsWeather, answerWith("Done."));
    expect((await readResponse(chat.post(chatBody("Hi")))).text).toBe("Done.");
  });

  it.each<[string, Script, firstChunk?: number]>([
    ["a cut", sendPieces(textEvent("Half"))],
    ["a refusal", async (call) => call.head(500)],
    ["silence", neverAnswer, 500],
  ])("stores the complete steps if the next one breaks (%s), and replaces all of them on a retry", async (_, script, firstChunk) => {
    const chat = await startChat({ tools, timeouts: { firstChunk } });
    chat.model.next(callsWeather, script);
    const seen = await readResponse(chat.post(chatBody("Hi")));
    expect(seen.status !== 200 || seen.failed).toBe(true);
    await chat.waitForTurns();
    expect(rolesOf(await chat.listStored())).toEqual([
      "user complete",
      "assistant failed",
      "tool failed",
      ...(seen.text === "Half" ? ["assistant failed"] : []),
    ]);
    const patient = await startChat({ sharesStoreWith: chat, tools });
    patient.model.next(callsWeather, answerWith("Done."));
    expect(await readResponse(patient.post(chatBody("Hi")))).toEqual({ status: 200, text: "Done.", failed: false });
    await patient.waitForTurns();
    // The failed attempt is not sent to the model.
    expect(patient.model.calls[0]?.body.messages).toEqual([{ role: "user", content: "Hi" }]);
    expect(rolesOf(await chat.listStored())).toEqual(["user complete", "assistant complete", "tool complete", "assistant complete"]);
  });

  it("can be retried without tools, and nothing of the old attempt remains", async () => {
    const chat = await startChat({ tools });
    chat.model.next(callsWeather, sendPieces(textEvent("Half")));
    await readResponse(chat.post(chatBody("Hi")));
    expect((await readResponse(chat.post(chatBody("Hi")))).text).toBe("Answer to Hi.");
    await chat.waitForTurns();
    expect(summarize(await chat.listStored())).toEqual(['user p1 complete "Hi"', 'assistant r1 complete "Answer to Hi."']);
  });

  it("times out while a tool hangs, and stores a result for its call", async () => {
    const chat = await startChat({ tools: createTools([{ name: "weather", run: () => new Promise(() => {}) }]), timeouts: { turn: 600 } });
    chat.model.next(callsWeather);
    expect((await readResponse(chat.post(chatBody("Hi")))).status).toBe(504);
    await chat.waitForTurns();
    expect(chat.errors).toMatchObject([{ code: "turn_timeout" }]);
    expect(rolesOf(await chat.listStored())).toEqual(["user complete", "assistant failed", "tool failed"]);
  });

  it("times out while a tool hangs and the model keeps its connection open", async () => {
    const chat = await startChat({
      tools: createTools([{ name: "weather", run: () => new Promise(() => {}) }]),
      timeouts: { turn: 3_000 },
    });
    chat.model.next(async (call) => {
      await call.send(toEvent(chunk({ tool_calls: [toolCall("c1", "weather", "{}")] }, "tool_calls")));
      await call.closed;
    });
    expect((await readResponse(chat.post(chatBody("Hi")))).status).toBe(504);
    await chat.waitForTurns();
    expect(rolesOf(await chat.listStored())).toEqual(["user complete", "assistant failed", "tool failed"]);
  });

  it("stores the text before its tools once, and counts its tokens once, if the turn ends in a tool", async () => {
    const usage = { prompt_tokens: 7, completion_tokens: 3, total_tokens: 10 };
    const chat = await startChat({ tools: createTools([{ name: "weather", run: () => new Promise(() => {}) }]), timeouts: { turn: 600 } });
    const calls = toEvent(chunk({ tool_calls: [toolCall("c1", "weather", "{}")] }, "tool_calls"));
    chat.model.next(sendPieces(textEvent("Let me look."), calls, toEvent({ choices: [], usage })));
    expect(await readResponse(chat.post(chatBody("Hi")))).toEqual({ status: 200, text: "Let me look.", failed: true });
    await chat.waitForTurns();
    expect(chat.turnEnds).toMatchObject([{ status: "failed", finishReason: "tool_calls", usage }]);
    const stored = await chat.listStored();
    expect(rolesOf(stored)).toEqual(["user complete", "assistant failed", "tool failed"]);
    expect(stored[1]).toMatchObject({ message: { content: "Let me look." }, usage });
  });

  it("is bounded in all its steps together", async () => {
    const chat = await startChat({ tools, limits: { answerCharacters: 500 } });
    const words = "x".repeat(300);
    const calls = toEvent(chunk({ tool_calls: [toolCall("c1", "weather", "{}")] }, "tool_calls"));
    chat.model.next(sendPieces(textEvent(words), calls, doneEvent), answerWith(words));
    expect((await readResponse(chat.post(chatBody("Hi")))).failed).toBe(true);
    await chat.waitForTurns();
    expect(chat.errors).toMatchObject([{ code: "answer_too_large" }]);
  });

  it("stores no call with incomplete arguments", async () => {
    const chat = await startChat({ tools });
    chat.model.next(sendPieces(toEvent(chunk({ tool_calls: [toolCall("c1", "weather", '{"ci')] }))));
    expect((await readResponse(chat.post(chatBody("Hi")))).status).toBe(502);
    await chat.waitForTurns();
    expect(rolesOf(await chat.listStored())).toEqual(["user complete"]);
  });

  it.each([
    ["the arguments", [toolCall("c1", "weather", "x".repeat(200))]],
    ["the names", [toolCall("c1", "x".repeat(200), "{}")]],
    ["the ids", [toolCall("x".repeat(200), "weather", "{}")]],
    ["the number", Array.from({ length: 200 }, (_, index) => ({ index }))],
  ])("counts %s of calls toward the answer's size", async (_, tool_calls) => {
    const chat = await startChat({ tools, limits: { answerCharacters: 100 } });
    chat.model.next(sendPieces(...tool_calls.map((call) => toEvent(chunk({ tool_calls: [call] }))), finishEvent("tool_calls")));
    expect((await readResponse(chat.post(chatBody("Hi")))).status).toBe(502);
    expect(chat.errors).toMatchObject([{ code: "answer_too_large" }]);
  });

  it("may end without further text: the text before its tools is the answer", async () => {
    const chat = await startChat({ tools });
    const says = sendPieces(textEvent("Sunny, I think."), toEvent(chunk({ tool_calls: [toolCall("c1", "weather", "{}")] }, "tool_calls")));
    chat.model.next(says, sendPieces(finishEvent()));
    const whole = { status: 200, text: "Sunny, I think.", failed: false };
    expect(await readResponse(chat.post(chatBody("Hi")))).toEqual(whole);
    await chat.waitForTurns();
    const stored = await chat.listStored();
    expect(rolesOf(stored)).toEqual(["user complete", "assistant complete", "tool complete", "assistant complete"]);
    expect(stored.at(-1)?.id).toBe("r1");
    expect(await readResponse(chat.post(chatBody("Hi")))).toEqual(whole);
    expect((await chat.post({ ...chatBody("Hi"), responseId: "r9" })).status).toBe(409);
    expect(chat.model.calls.length).toBe(2);
    expect(await chat.listStored()).toEqual(stored);
    expect((await readResponse(chat.post(chatBody("Next", 2)))).text).toBe("Answer to Next.");
  });

  it("may say nothing at all once its tools have run", async () => {
    const chat = await startChat({ tools });
    chat.model.next(callsWeather, sendPieces(finishEvent()));
    expect(await readResponse(chat.post(chatBody("Hi")))).toEqual({ status: 200, text: "", failed: false });
    await chat.waitForTurns();
    expect(chat.errors).toEqual([]);
  });
});
