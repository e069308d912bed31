/** Every shape of chunk that providers send, and every way to split a stream into reads. */
import { describe, expect, it } from "vitest";
import { chatBody, expectError, readResponse, startChat, variants } from "../support/chat.ts";
import { forEachConcurrently } from "../support/expectations.ts";
import { failOnUnhandledErrors } from "../support/unhandled-errors.ts";
import { chunk, doneEvent, toEvent, finishEvent, lastPrompt, answerWith, sendPieces, textEvent } from "../support/model-scripts.ts";

failOnUnhandledErrors();

const usage = { prompt_tokens: 7, completion_tokens: 3, total_tokens: 10 };
const base = { id: "chatcmpl-1", object: "chat.completion.chunk", created: 1, model: "m" };
const raw = (fields: object) => toEvent({ ...base, ...fields });

const shapes: [name: string, events: string[]][] = [
  [
    "a role first, with empty content",
    [raw({ choices: [{ index: 0, delta: { role: "assistant", content: "" } }] }), textEvent("Hello."), finishEvent()],
  ],
  [
    "a role first, with null content",
    [raw({ choices: [{ index: 0, delta: { role: "assistant", content: null } }] }), textEvent("Hello."), finishEvent()],
  ],
  [
    "Azure's first chunk: no choices",
    [raw({ choices: [], prompt_filter_results: [{ prompt_index: 0 }] }), textEvent("Hello."), finishEvent()],
  ],
  ["usage last, without choices", [textEvent("Hello."), finishEvent(), raw({ choices: [], usage })]],
  ["usage that is null", [textEvent("Hello."), finishEvent(), raw({ choices: [], usage: "lots" })]],
  [
    "usage in every chunk",
    [raw({ ...chunk({ content: "Hel" }), usage: null }), raw({ ...chunk({ content: "lo." }), usage }), finishEvent()],
  ],
  ["choices: null", [raw({ choices: null }), textEvent("Hello."), finishEvent()]],
  ["no choices at all", [raw({}), textEvent("Hello."), finishEvent()]],
  ["a choice that is null", [raw({ choices: [null] }), textEvent("Hello."), finishEvent()]],
  [
    "a choice without a delta",
    [raw({ choices: [{ index: 0, finish_reason: null }] }), textEvent("Hello."), raw({ choices: [{ index: 0, finish_reason: "stop" }] })],
  ],
  ["a delta that is null", [raw({ choices: [{ index: 0, delta: null }] }), textEvent("Hello."), finishEvent()]],
  [
    "null content in between",
    [textEvent("Hel"), raw({ choices: [{ index: 0, delta: { content: null } }] }), textEvent("lo."), finishEvent()],
  ],
  [
    "a choice without an index",
    [raw({ choices: [{ delta: { content: "Hello." } }] }), raw({ choices: [{ delta: {}, finish_reason: "stop" }] })],
  ],
  [
    "a finish reason in the same chunk as the last text",
    [textEvent("Hel"), raw({ choices: [{ index: 0, delta: { content: "lo." }, finish_reason: "stop" }] })],
  ],
  [
    "unknown fields",
    [
      raw({ choices: [{ index: 0, delta: { content: "Hello.", reasoning_content: "hm", audio: {} }, logprobs: {} }], x: [1] }),
      finishEvent(),
    ],
  ],
  [
    "several choices, of which the first is the answer",
    [
      raw({
        choices: [
          { index: 1, delta: { content: "No." }, finish_reason: "length" },
          { index: 0, delta: { content: "Hello." } },
        ],
      }),
      raw({
        choices: [
          { index: 0, delta: {}, finish_reason: "stop" },
          { index: 1, delta: { content: "No." } },
        ],
      }),
    ],
  ],
  ["a refusal with empty content", [raw({ choices: [{ index: 0, delta: { content: "", refusal: "Hello." } }] }), finishEvent()]],
  [
    "a refusal",
    [
      raw({ choices: [{ index: 0, delta: { refusal: "Hel" } }] }),
      raw({ choices: [{ index: 0, delta: { refusal: "lo." } }] }),
      finishEvent(),
    ],
  ],
  ["empty tool calls", [raw({ choices: [{ index: 0, delta: { content: "Hello.", tool_calls: [] } }] }), finishEvent()]],
  ["an event without data", ["event: ping\n\n", textEvent("Hello."), ": comment\n\n", finishEvent()]],
];

describe.each(variants)("$name", ({ way }) => {
  // The SDK cannot read these two. The handler can.
  const own = new Set(["a choice that is null", "an event without data"]);
  it.each(shapes.filter(([name]) => way.clientKind === "openai" || !own.has(name)))("reads %s", async (_, events) => {
    const chat = await startChat({ ...way, script: sendPieces(...events, doneEvent) });
    expect(await readResponse(chat.post(chatBody("Hi")))).toEqual({ status: 200, text: "Hello.", failed: false });
    await chat.waitForTurns();
    const [, answer] = await chat.listStored();
    expect(answer).toMatchObject({ status: "complete", finishReason: "stop", message: { role: "assistant", content: "Hello." } });
    expect(answer?.usage).toEqual(events.join().includes('"usage":{') ? usage : undefined);
    expect(chat.turnEnds[0]).toMatchObject({ status: "complete", finishReason: "stop", usage: answer?.usage });
  });

  it("joins a surrogate pair that is split over two deltas", async () => {
    const chat = await startChat({ ...way, flushInterval: 0, script: answerWith("a\ud83d", "\ude00b", "\ud83d", "\ude00") });
    expect((await readResponse(chat.post(chatBody("Hi")))).text).toBe("a😀b😀");
    await chat.waitForTurns();
    expect((await chat.listStored())[1]?.message.content).toBe("a😀b😀");
  });

  it("streams and stores the same well-formed text if half of a surrogate pair is missing", async () => {
    const chat = await startChat({ ...way, script: answerWith("a\ud83d", "b", "\ude00c\ud83d") });
    const first = await readResponse(chat.post(chatBody("Hi")));
    expect(first).toEqual({ status: 200, text: "a\ufffdb\ufffdc\ufffd", failed: false });
    await chat.waitForTurns();
    expect((await chat.listStored())[1]?.message.content).toBe(first.text);
    expect(await readResponse(chat.post(chatBody("Hi")))).toEqual(first);
  });

  it("streams all characters", async () => {
    const odd = '\0\u0001\t\r\n\u2028\u2029\ufeff</script>"\\ &amp; data: x\n\ndata: [DONE]\n\n' + "é".normalize("NFD") + "👩‍👩‍👧";
    const chat = await startChat({ ...way, script: answerWith("\ufeff", odd, "[DONE]") });
    const bytes = Buffer.from(await (await chat.post(chatBody("Hi"))).arrayBuffer());
    expect(bytes.toString()).toBe(`\ufeff${odd}[DONE]`);
    await chat.waitForTurns();
    expect((await chat.listStored())[1]?.message.content).toBe(`\ufeff${odd}[DONE]`);
  });
});

/** One answer as different event streams with the same text. */
const plain = ['{"choices":[{"delta":{"content":"Grö"}}]}', '{"choices":[{"delta":{"content":"ße 😀."},"finish_reason":"stop"}]}', "[DONE]"]
  .map(toEvent)
  .join("");
const streams: Record<string, string> = {
  "line feeds": plain,
  "carriage returns and line feeds": plain.replaceAll("\n", "\r\n"),
  "carriage returns alone": plain.replaceAll("\n", "\r"),
  "a byte order mark": `\ufeff${plain}`,
  "comments between and within": plain.replaceAll("data:", ": ping\n:\ndata:"),
  "data: without a space": plain.replaceAll("data: ", "data:"),
  "other fields": plain.replaceAll("data:", "id: 1\nretry: 10\nevent: message\nunknown: x\ndata:"),
  "data over several lines": plain.replaceAll('"choices":[', '"choices":\ndata: ['),
  "no blank line at the end": plain.replace(doneEvent, "").trimEnd(),
  "white space behind [DONE]": plain.replace("[DONE]", "[DONE] "),
  "no [DONE]": plain.replace(doneEvent, ""),
};

describe("decodes an event stream split at every byte", () => {
  const framings = [
    "line feeds",
    "carriage returns and line feeds",
    "carriage returns alone",
    "a byte order mark",
    "comments between and within",
  ];
  it.each(Object.entries(streams).filter(([name]) => framings.includes(name)))("%s", async (_, stream) => {
    const bytes = Buffer.from(stream);
    const chat = await startChat({
      script: (call) => {
        const position = Number(lastPrompt(call.body));
        return sendPieces(bytes.subarray(0, position), bytes.subarray(position))(call);
      },
    });
    // Only a few streams at a time, because too many mix the order of writes and reads.
    await forEachConcurrently([...bytes.keys()].slice(1), async (position) => {
      const seen = await readResponse(chat.post(chatBody(String(position), position, `t${position}`)));
      expect(seen).toEqual({ status: 200, text: "Größe 😀.", failed: false });
    });
  });

  it.each(Object.entries(streams))("%s, byte by byte", async (_, stream) => {
    const pieces = Array.from(Buffer.from(stream), (byte) => Uint8Array.of(byte));
    const chat = await startChat({ script: sendPieces(...pieces) });
    expect(await readResponse(chat.post(chatBody("Hi")))).toEqual({ status: 200, text: "Größe 😀.", failed: false });
  });

  it("an answer in one read", async () => {
    const chat = await startChat({ script: sendPieces(plain) });
    expect((await readResponse(chat.post(chatBody("Hi")))).text).toBe("Größe 😀.");
  });
});

it("fails if a provider ignores `stream`, and streams none of its JSON", async () => {
  const completion = { choices: [{ index: 0, message: { role: "assistant", content: "Hello." }, finish_reason: "stop" }] };
  const chat = await startChat({
    script: async (call) => {
      call.head(200, { "Content-Type": "application/json" });
      await call.send(JSON.stringify(completion));
    },
  });
  await expectError(await chat.post(chatBody("Hi")), 502, "model_failed");
});

describe("an invalid answer", () => {
  it.each<[string, string]>([
    ["content that is a number", toEvent({ choices: [{ index: 0, delta: { content: 5 } }] })],
    ["content that is an object", toEvent({ choices: [{ index: 0, delta: { content: { text: "x" } } }] })],
  ])("fails the turn: %s", async (_, poison) => {
    const chat = await startChat({ script: sendPieces(textEvent("Half"), poison, finishEvent(), doneEvent) });
    expect(await readResponse(chat.post(chatBody("Hi")))).toEqual({ status: 200, text: "Half", failed: true });
    await chat.waitForTurns();
    expect(chat.errors).toMatchObject([{ code: "model_failed" }]);
    expect((await chat.listStored())[1]?.status).toBe("failed");
  });

  it("is reported with a bounded length", async () => {
    const chat = await startChat({ script: sendPieces(toEvent({ error: { message: "x".repeat(100_000) } })) });
    await expectError(await chat.post(chatBody("Hi")), 502, "model_failed");
    await chat.waitForTurns();
    expect(String(chat.errors[0]?.cause)).toMatch(/^.{100,2000}$/);
  });

  it("fails the turn at an endless event, and closes the connection early", async () => {
    const piece = "x".repeat(64 * 1024);
    const chat = await startChat({
      script: async (call) => {
        await call.send('data: {"choices":[{"delta":{"content":"');
        for (let sent = 0; sent < 32 * 1024 * 1024 && call.disconnectedAt === undefined; sent += piece.length) await call.send(piece);
        await call.send(`"}}]}\n\n${finishEvent()}${doneEvent}`);
      },
    });
    await expectError(await chat.post(chatBody("Hi")), 502, "model_failed");
    await chat.model.calls[0]?.disconnected;
  });

  it("fails the turn at once if an event is too large, even if the model then stalls", async () => {
    const chat = await startChat({
      script: async (call) => {
        await call.send(`data: ${"x".repeat(9 * 1024 * 1024)}`);
        await call.closed;
      },
    });
    await expectError(await chat.post(chatBody("Hi")), 502, "model_failed");
    await chat.model.calls[0]?.disconnected;
  });

  it("fails if it is longer than `limits.answerCharacters`, and stores the partial answer", async () => {
    const chat = await startChat({ limits: { answerCharacters: 10 }, script: answerWith("12345", "67890", "1") });
    const seen = await readResponse(chat.post(chatBody("Hi")));
    expect(seen.failed).toBe(true);
    await chat.model.calls[0]?.closed;
    await chat.waitForTurns();
    expect(chat.errors).toMatchObject([{ code: "answer_too_large", status: 502 }]);
    const [, answer] = await chat.listStored();
    expect(answer?.status).toBe("failed");
    expect(answer?.message.content).toMatch(/^1234567890/);
  });

  it("may be exactly as long as `limits.answerCharacters`", async () => {
    const chat = await startChat({ limits: { answerCharacters: 10 }, script: answerWith("12345", "67890") });
    expect(await readResponse(chat.post(chatBody("Hi")))).toEqual({ status: 200, text: "1234567890", failed: false });
  });
});
