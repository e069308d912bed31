/** Answers that break, at every position and in every way. */
import { describe, expect, it } from "vitest";
import { allowAnyone, createThreadHandler } from "../../src/threads.ts";
import { chatBody, readResponse, startChat, variants } from "../support/chat.ts";
import { expectStoreMatchesResponse, expectRetrySucceeds, forEachConcurrently } from "../support/expectations.ts";
import { failOnUnhandledErrors } from "../support/unhandled-errors.ts";
import type { Script } from "../support/model-server.ts";
import { doneEvent, toEvent, finishEvent, lastPrompt, answerWith, sendPieces, textEvent } from "../support/model-scripts.ts";

failOnUnhandledErrors();

const whole = "Größe 😀.";
/** The event that completes the answer. */
const ending = '{"choices":[{"finish_reason":"stop"}]}';
const short = (content: string) => toEvent({ choices: [{ delta: { content } }] });
const events = [short("Grö"), short("ße 😀."), toEvent(ending), doneEvent];
const upstreamSecret = "org-42 has no credit left, key sk-live-7";

/** HTTP responses with the events: in chunks, where a cut is an error, or until the connection closes, where a cut looks like the end. */
const responses = {
  "a chunked response": {
    bytes: httpResponse("Transfer-Encoding: chunked", `${events.map((data) => httpChunk(data)).join("")}0\r\n\r\n`),
  },
  "a response that ends with its connection": { bytes: httpResponse("Connection: close", events.join("")) },
};

describe.each(variants)("$name", ({ way }) => {
  it.each(Object.entries(responses))("survives a cut at every byte of %s", async (_, { bytes }) => {
    const chat = await startChat({ ...way, script: failOnceThenAnswer((position) => [cutAfter(bytes.subarray(0, position))]) });
    // The answer is complete once the event with the finish reason has arrived.
    const finished = bytes.indexOf(ending) + ending.length;
    let cleanEnds = 0;
    // A cut within the headers always has the same result.
    const body = bytes.indexOf("\r\n\r\n");
    const positions = [0, 5, 15, 30, ...Array.from({ length: bytes.length + 1 - body }, (_, index) => body + index)];
    // A server test does not need every position, because the position does not change the way to the client.
    const tried = way.via === "server" ? positions.filter((_, index) => index % 5 === 0) : positions;
    await forEachConcurrently(tried, async (position) => {
      const request = chatBody(String(position), position, `t${position}`);
      const seen = await readResponse(chat.post(request));
      await chat.waitForTurns();
      const isClean = seen.status === 200 && !seen.failed;
      expect(isClean && position < finished).toBe(false);
      if (isClean) cleanEnds++;
      // Over a server, a client may drop unread text when the connection breaks.
      expect(seen.text === "" && seen.status === 200 && way.via === "direct").toBe(false);
      await expectStoreMatchesResponse(chat, request, seen, { whole });
      await expectRetrySucceeds(chat, request, whole);
    });
    expect(cleanEnds).toBeGreaterThan(0);
  });

  it.each([
    ["an error event", toEvent({ error: { message: upstreamSecret, type: "server_error", code: null } })],
    ["a named error event", `event: error\n${toEvent({ message: upstreamSecret })}`],
    ["invalid JSON", `data: {"choices":[{"index":0,"delta":{"content":"${upstreamSecret}"\n\n`],
    ["JSON that is not a chunk", toEvent("null")],
    ["a number instead of a chunk", toEvent("42")],
    ["a close without a finish reason", undefined],
    ["only the end marker", doneEvent],
  ])("survives %s at every event boundary", async (_, poison) => {
    const chat = await startChat({
      ...way,
      script: failOnceThenAnswer((position) => [
        sendPieces(...events.slice(0, position), ...(poison === undefined ? [] : [poison, ...events.slice(position)])),
      ]),
    });
    await forEachConcurrently([...events.keys()], async (position) => {
      const request = chatBody(String(position), position, `t${position}`);
      const response = await chat.post(request);
      const seen = await readResponse(response);
      await chat.waitForTurns();
      const isClean = seen.status === 200 && !seen.failed;
      expect(isClean && position < 3).toBe(false);
      expect(seen.text).not.toContain(upstreamSecret);
      expect([...response.headers].join()).not.toContain(upstreamSecret);
      await expectStoreMatchesResponse(chat, request, seen, { whole });
      await expectRetrySucceeds(chat, request, whole);
    });
    expect(chat.errors.length).toBeGreaterThan(2);
    for (const error of chat.errors) expect(error).toMatchObject({ name: "ChatHandlerError", code: "model_failed" });
  });

  it("survives a reset of the connection", async () => {
    const chat = await startChat(way);
    chat.model.next(async (call) => {
      await call.send(textEvent("Half of "));
      await call.send(textEvent("it"));
      call.reset();
    });
    const request = chatBody("Hi");
    const seen = await readResponse(chat.post(request));
    expect(seen.failed).toBe(true);
    await chat.waitForTurns();
    await expectStoreMatchesResponse(chat, request, seen, { whole: "Half of it all", partialMayBeMissing: true });
    await expectRetrySucceeds(chat, request, "Answer to Hi.");
  });

  it.each([
    ...["length", "content_filter", "max_tokens", "MAX_TOKENS", "model_length", "model_context_window_exceeded", "error", "network_error"],
    ...["insufficient_system_resource", "sensitive", "SAFETY", "abort", "null", "unknown", "a word of tomorrow"],
  ])("an answer that ended with %s is partial", async (reason) => {
    const chat = await startChat(way);
    chat.model.next(sendPieces(textEvent("As I was say"), finishEvent(reason as "length"), doneEvent));
    const request = chatBody("Hi");
    const seen = await readResponse(chat.post(request));
    expect(seen).toEqual({ status: 200, text: "As I was say", failed: true });
    await chat.waitForTurns();
    expect(await chat.listStored()).toMatchObject([
      { id: "p1" },
      { id: "r1", status: "failed", finishReason: reason, message: { content: "As I was say" } },
    ]);
    expect(chat.errors).toMatchObject([{ code: "answer_incomplete", status: 502 }]);
    await expectRetrySucceeds(chat, request, "Answer to Hi.");
  });

  it("an answer is partial if a later finish reason is not on the list", async () => {
    const chat = await startChat(way);
    chat.model.next(sendPieces(textEvent("As I was say"), finishEvent("length"), finishEvent("stop"), doneEvent));
    expect(await readResponse(chat.post(chatBody("Hi")))).toEqual({ status: 200, text: "As I was say", failed: true });
    await chat.waitForTurns();
    expect((await chat.listStored())[1]).toMatchObject({ status: "failed", finishReason: "length" });
  });

  it.each(["stop", "STOP", "stop_sequence", "end_turn", "eos", "eos_token", "tool_calls", "function_call", "COMPLETE"])(
    "an answer that ended with %s is complete",
    async (reason) => {
      const chat = await startChat(way);
      chat.model.next(sendPieces(textEvent("As I said."), finishEvent(reason as "stop"), doneEvent));
      expect(await readResponse(chat.post(chatBody("Hi")))).toEqual({ status: 200, text: "As I said.", failed: false });
    },
  );

  it.each([
    ["an empty answer", sendPieces(finishEvent(), doneEvent)],
    ["an answer with only empty deltas", answerWith("", "")],
    ["an empty body", sendPieces()],
  ])("fails on %s, stores only the prompt, and succeeds on a retry", async (_, script) => {
    const chat = await startChat(way);
    chat.model.next(script);
    const request = chatBody("Hi");
    const response = await chat.post(request);
    expect(response.status).toBe(502);
    expect(await response.json()).toMatchObject({ error: { code: "model_failed", type: "server_error" } });
    await chat.waitForTurns();
    expect(await chat.listStored()).toMatchObject([{ id: "p1" }]);
    await expectRetrySucceeds(chat, request, "Answer to Hi.");
  });
});

it("places a retried answer after its prompt, for the model and for the thread routes", async () => {
  const chat = await startChat();
  chat.model.next(sendPieces(textEvent("Half")));
  await readResponse(chat.post(chatBody("first", 1)));
  await readResponse(chat.post(chatBody("second", 2)));
  expect(await readResponse(chat.post(chatBody("first", 1)))).toMatchObject({ text: "Answer to first.", failed: false });
  await readResponse(chat.post(chatBody("third", 3)));
  await chat.waitForTurns();
  const inOrder = ["first", "Answer to first.", "second", "Answer to second.", "third"];
  expect(chat.model.calls.at(-1)?.body.messages.map(({ content }) => content)).toEqual(inOrder);
  const threads = createThreadHandler({ store: chat.backingStore, authorize: allowAnyone });
  const shown = (await (await threads(new Request("http://localhost/get/t"))).json()) as { content: string }[];
  expect(shown.map(({ content }) => content)).toEqual([...inOrder, "Answer to third."]);
  // Nothing of the partial answer is left.
  expect(await chat.listStored()).toHaveLength(6);
});

it("sends a stored partial answer to the model", async () => {
  const chat = await startChat();
  chat.model.next(sendPieces(textEvent("Half")));
  await readResponse(chat.post(chatBody("first", 1)));
  await readResponse(chat.post(chatBody("second", 2)));
  expect(chat.model.calls[1]?.body.messages).toEqual([
    { role: "user", content: "first" },
    { role: "assistant", content: "Half" },
    { role: "user", content: "second" },
  ]);
});

/** Plays the broken script for the first call of each prompt, and the whole answer for later ones. */
function failOnceThenAnswer(poison: (position: number) => [Script]): Script {
  const met = new Set<string>();
  return (call) => {
    const prompt = lastPrompt(call.body);
    if (met.has(prompt)) return answerWith("Größe", " 😀.")(call);
    met.add(prompt);
    return poison(Number(prompt))[0](call);
  };
}

function cutAfter(bytes: Uint8Array): Script {
  return async (call) => {
    await call.raw(bytes);
    call.cut();
  };
}

function httpResponse(header: string, body: string): Buffer {
  return Buffer.from(`HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n${header}\r\n\r\n${body}`);
}

function httpChunk(data: string): string {
  return `${Buffer.byteLength(data).toString(16)}\r\n${data}\r\n`;
}
