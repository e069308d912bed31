/** An answer that breaks off, at every place and in every way a provider can break it. */
import { describe, expect, it } from "vitest";
import { allowAnyone, createThreadHandler } from "../../src/threads.ts";
import { ask, read, startChat, ways } from "../support/chat.ts";
import { expectAgreement, expectHealing, forEach } from "../support/contract.ts";
import { watchForFloatingErrors } from "../support/floating.ts";
import type { Script } from "../support/model-server.ts";
import { done, event, finish, promptOf, says, sends, text } from "../support/scripts.ts";

watchForFloatingErrors();

const whole = "Größe 😀.";
/** With it the answer is whole. */
const ending = '{"choices":[{"finish_reason":"stop"}]}';
const short = (content: string) => event({ choices: [{ delta: { content } }] });
const events = [short("Grö"), short("ße 😀."), event(ending), done];
const upstreamSecret = "org-42 has no credit left, key sk-live-7";

/** HTTP responses that carry the events: in chunks, where a cut is an error, and until the close, where it looks like the end. */
const responses = {
  "a chunked response": {
    bytes: httpResponse("Transfer-Encoding: chunked", `${events.map((data) => httpChunk(data)).join("")}0\r\n\r\n`),
  },
  "a response that ends with its connection": { bytes: httpResponse("Connection: close", events.join("")) },
};

describe.each(ways)("$name", ({ way }) => {
  it.each(Object.entries(responses))("survives a cut at every byte of %s", async (_, { bytes }) => {
    const chat = await startChat({ ...way, script: onceThenWhole((position) => [cutAfter(bytes.subarray(0, position))]) });
    // As soon as the event with the finish reason is there, the answer is whole.
    const finished = bytes.indexOf(ending) + ending.length;
    let cleanEnds = 0;
    // Cut within its head, a response is no response, wherever that is.
    const body = bytes.indexOf("\r\n\r\n");
    const positions = [0, 5, 15, 30, ...Array.from({ length: bytes.length + 1 - body }, (_, index) => body + index)];
    // Between us and the client the place of the cut makes no difference: over a server, some of them do.
    const tried = way.via === "server" ? positions.filter((_, index) => index % 5 === 0) : positions;
    await forEach(tried, async (position) => {
      const request = ask(String(position), position, `t${position}`);
      const seen = await read(chat.post(request));
      await chat.settled();
      const isClean = seen.status === 200 && !seen.failed;
      expect(isClean && position < finished).toBe(false);
      if (isClean) cleanEnds++;
      // Over a server, a client that sees the connection break may drop what it has not read yet.
      expect(seen.text === "" && seen.status === 200 && way.via === "direct").toBe(false);
      await expectAgreement(chat, request, seen, { whole });
      await expectHealing(chat, request, whole);
    });
    expect(cleanEnds).toBeGreaterThan(0);
  });

  it.each([
    ["an error event", event({ error: { message: upstreamSecret, type: "server_error", code: null } })],
    ["a named error event", `event: error\n${event({ message: upstreamSecret })}`],
    ["bad JSON", `data: {"choices":[{"index":0,"delta":{"content":"${upstreamSecret}"\n\n`],
    ["JSON that is no chunk", event("null")],
    ["a number for a chunk", event("42")],
    ["a close without a finish reason", undefined],
    ["nothing but the end marker", done],
  ])("survives %s at every event boundary", async (_, poison) => {
    const chat = await startChat({
      ...way,
      script: onceThenWhole((position) => [
        sends(...events.slice(0, position), ...(poison === undefined ? [] : [poison, ...events.slice(position)])),
      ]),
    });
    await forEach([...events.keys()], async (position) => {
      const request = ask(String(position), position, `t${position}`);
      const response = await chat.post(request);
      const seen = await read(response);
      await chat.settled();
      const isClean = seen.status === 200 && !seen.failed;
      expect(isClean && position < 3).toBe(false);
      expect(seen.text).not.toContain(upstreamSecret);
      expect([...response.headers].join()).not.toContain(upstreamSecret);
      await expectAgreement(chat, request, seen, { whole });
      await expectHealing(chat, request, whole);
    });
    expect(chat.errors.length).toBeGreaterThan(2);
    for (const error of chat.errors) expect(error).toMatchObject({ name: "ChatHandlerError", code: "model_failed" });
  });

  it("survives a reset of the connection in the middle", async () => {
    const chat = await startChat(way);
    chat.model.next(async (call) => {
      await call.send(text("Half of "));
      await call.send(text("it"));
      call.reset();
    });
    const request = ask("Hi");
    const seen = await read(chat.post(request));
    expect(seen.failed).toBe(true);
    await chat.settled();
    await expectAgreement(chat, request, seen, { whole: "Half of it all", partMayBeMissing: true });
    await expectHealing(chat, request, "Answer to Hi.");
  });

  it.each([
    ...["length", "content_filter", "max_tokens", "MAX_TOKENS", "model_length", "model_context_window_exceeded", "error", "network_error"],
    ...["insufficient_system_resource", "sensitive", "SAFETY", "abort", "null", "unknown", "a word of tomorrow"],
  ])("takes an answer that ended with %s for a part", async (reason) => {
    const chat = await startChat(way);
    chat.model.next(sends(text("As I was say"), finish(reason as "length"), done));
    const request = ask("Hi");
    const seen = await read(chat.post(request));
    expect(seen).toEqual({ status: 200, text: "As I was say", failed: true });
    await chat.settled();
    expect(await chat.stored()).toMatchObject([
      { id: "p1" },
      { id: "r1", status: "failed", finishReason: reason, message: { content: "As I was say" } },
    ]);
    expect(chat.errors).toMatchObject([{ code: "answer_incomplete", status: 502 }]);
    await expectHealing(chat, request, "Answer to Hi.");
  });

  it("takes an answer for a part where a later finish reason takes back an earlier one", async () => {
    const chat = await startChat(way);
    chat.model.next(sends(text("As I was say"), finish("length"), finish("stop"), done));
    expect(await read(chat.post(ask("Hi")))).toEqual({ status: 200, text: "As I was say", failed: true });
    await chat.settled();
    expect((await chat.stored())[1]).toMatchObject({ status: "failed", finishReason: "length" });
  });

  it.each(["stop", "STOP", "stop_sequence", "end_turn", "eos", "eos_token", "tool_calls", "function_call", "COMPLETE"])(
    "takes an answer that ended with %s for whole",
    async (reason) => {
      const chat = await startChat(way);
      chat.model.next(sends(text("As I said."), finish(reason as "stop"), done));
      expect(await read(chat.post(ask("Hi")))).toEqual({ status: 200, text: "As I said.", failed: false });
    },
  );

  it.each([
    ["an empty answer", sends(finish(), done)],
    ["an answer of empty deltas", says("", "")],
    ["an empty body", sends()],
  ])("fails on %s, stores the prompt alone, and heals", async (_, script) => {
    const chat = await startChat(way);
    chat.model.next(script);
    const request = ask("Hi");
    const response = await chat.post(request);
    expect(response.status).toBe(502);
    expect(await response.json()).toMatchObject({ error: { code: "model_failed", type: "server_error" } });
    await chat.settled();
    expect(await chat.stored()).toMatchObject([{ id: "p1" }]);
    await expectHealing(chat, request, "Answer to Hi.");
  });
});

it("puts an answer that is made anew later behind its prompt, for the model and for people", async () => {
  const chat = await startChat();
  chat.model.next(sends(text("Half")));
  await read(chat.post(ask("first", 1)));
  await read(chat.post(ask("second", 2)));
  expect(await read(chat.post(ask("first", 1)))).toMatchObject({ text: "Answer to first.", failed: false });
  await read(chat.post(ask("third", 3)));
  await chat.settled();
  const inOrder = ["first", "Answer to first.", "second", "Answer to second.", "third"];
  expect(chat.model.calls.at(-1)?.body.messages.map(({ content }) => content)).toEqual(inOrder);
  const threads = createThreadHandler({ store: chat.kept, authorize: allowAnyone });
  const shown = (await (await threads(new Request("http://localhost/get/t"))).json()) as { content: string }[];
  expect(shown.map(({ content }) => content)).toEqual([...inOrder, "Answer to third."]);
  // Nothing is left of the part.
  expect(await chat.stored()).toHaveLength(6);
});

it("tells the model of a part that was kept, as of any message", async () => {
  const chat = await startChat();
  chat.model.next(sends(text("Half")));
  await read(chat.post(ask("first", 1)));
  await read(chat.post(ask("second", 2)));
  expect(chat.model.calls[1]?.body.messages).toEqual([
    { role: "user", content: "first" },
    { role: "assistant", content: "Half" },
    { role: "user", content: "second" },
  ]);
});

/** Plays the poison for the first call of each prompt, a number, and the whole answer for later ones. */
function onceThenWhole(poison: (position: number) => [Script]): Script {
  const met = new Set<string>();
  return (call) => {
    const prompt = promptOf(call.body);
    if (met.has(prompt)) return says("Größe", " 😀.")(call);
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
