/** What providers really send: a family of cases for each thing they do differently. All over HTTP. */
import { gzipSync } from "node:zlib";
import { setTimeout as delay } from "node:timers/promises";
import { describe, expect, it, vi } from "vitest";
import { createTools } from "../../src/tools.ts";
import { type Chat, type ChatSetup, chatBody, expectError, readResponse, startChat } from "../support/chat.ts";
import { answerWith, chunk, doneEvent, finishEvent, rejectWith, sendPieces, textEvent, toEvent } from "../support/model-scripts.ts";
import type { Script } from "../support/model-server.ts";
import { failOnUnhandledErrors } from "../support/unhandled-errors.ts";

failOnUnhandledErrors();

/** A chunk with this delta. */
const delta = (fields: object, finish_reason: string | null = null, index = 0) =>
  toEvent({ choices: [{ index, delta: fields, finish_reason }] });
const oslo = '{"city":"Oslo"}';
const rome = '{"city":"Rome"}';

/** A chat with the tool `get_weather`, and what the tool was called with. */
async function startWithTool(script: Script, setup: ChatSetup = {}, result: () => unknown = () => "Sunny.") {
  const ran: unknown[] = [];
  const tools = createTools([
    {
      name: "get_weather",
      run: (args) => {
        ran.push(args);
        return result();
      },
    },
  ]);
  const chat = await startChat({ tools, script: answerWith("Done."), ...setup });
  chat.model.next(script);
  return { chat, ran };
}

async function expectWhole(chat: Chat, text: string): Promise<void> {
  expect(await readResponse(chat.post(chatBody("Hi")))).toEqual({ status: 200, text, failed: false });
  expect((await chat.listStored()).map(({ status }) => status)).not.toContain("failed");
}

async function expectBroken(chat: Chat, text: string): Promise<void> {
  expect(await readResponse(chat.post(chatBody("Hi")))).toEqual({ status: 200, text, failed: true });
  await chat.waitForTurns();
  expect((await chat.listStored())[1]?.status).toBe("failed");
}

describe("a finish reason that comes too early", () => {
  it("ends nothing while text keeps coming", async () => {
    const chat = await startChat({
      script: async (call) => {
        for (let n = 0; n < 12; n++) {
          await call.send(delta({ content: `word ${n} ` }, "stop"));
          await delay(230);
        }
        await call.send(doneEvent);
      },
    });
    await expectWhole(chat, Array.from({ length: 12 }, (_, n) => `word ${n} `).join(""));
  });

  it("ends nothing while arguments keep coming", async () => {
    const { chat, ran } = await startWithTool(async (call) => {
      const start = { index: 0, id: "a", type: "function", function: { name: "get_weather", arguments: "" } };
      await call.send(delta({ tool_calls: [start] }, "tool_calls"));
      for (const piece of ['{"c', "it", 'y":', '"Os', 'lo"', "}"]) {
        await delay(430);
        await call.send(delta({ tool_calls: [{ index: 0, function: { arguments: piece } }] }, "tool_calls"));
      }
      await call.send(doneEvent);
    });
    await expectWhole(chat, "Done.");
    expect(ran).toEqual([{ city: "Oslo" }]);
  });

  it.each([
    ["nothing more comes", ""],
    ["only the finish reason comes again and again", finishEvent()],
    ["only keep-alives come", ": ping\n\n"],
    ["only empty chunks come", toEvent({ choices: [] })],
  ])("is the end when %s", { timeout: 15_000 }, async (_, event) => {
    const chat = await startChat({
      script: async (call) => {
        await call.send(textEvent("All said.") + finishEvent());
        while (call.disconnectedAt === undefined) {
          if (event) await call.send(event);
          await Promise.race([call.closed, delay(200)]);
        }
      },
    });
    await expectWhole(chat, "All said.");
  });

  it("proves nothing when the connection breaks in what follows", async () => {
    const chat = await startChat({
      script: async (call) => {
        await call.send(delta({ content: "One " }, "stop"));
        await call.send(delta({ content: "two " }, "stop"));
        call.cut();
      },
    });
    await expectBroken(chat, "One two ");
  });
});

describe("finish words", () => {
  it.each(["stop", "end_turn", "STOP", "tool_use", "stop-sequence", "eosFound", "COMPLETE", "FINISH_REASON_STOP", "normal"])(
    "%s makes an answer whole",
    async (word) => {
      const chat = await startChat({ script: sendPieces(textEvent("As I said."), delta({}, word), doneEvent) });
      await expectWhole(chat, "As I said.");
    },
  );

  it.each(["length", "function_call_filter: MALFORMED_FUNCTION_CALL", "stopped", "tool_error", "endpoint_failed", "finish_limit"])(
    "%s does not",
    async (word) => {
      const start = { index: 0, id: "a", type: "function", function: { name: "get_weather", arguments: oslo } };
      const { chat, ran } = await startWithTool(
        sendPieces(textEvent("As I was"), delta({ tool_calls: [start] }), delta({}, word), doneEvent),
      );
      await expectBroken(chat, "As I was");
      expect(ran).toEqual([]);
    },
  );

  it("never reach a client in the provider's own words", async () => {
    const secret = "https://internal.example/?key=sk-live-7";
    const chat = await startChat({ script: sendPieces(delta({}, secret), doneEvent) });
    const error = await expectError(await chat.post(chatBody("Hi")), 502, "answer_incomplete");
    expect(error.message).toBe("The model's answer was cut short.");
    await chat.waitForTurns();
    expect(JSON.stringify([await chat.listStored(), chat.turnEnds[0]?.finishReason])).not.toContain("sk-live");
    expect(chat.errors).toMatchObject([{ cause: { message: expect.stringContaining(secret) as string } }]);
  });
});

const call = (fields: object, fn: object) => ({ index: 0, type: "function", ...fields, function: fn });
const whole = (fields: object, args: unknown) => call(fields, { name: "get_weather", arguments: args });

describe("tool calls in pieces", () => {
  it.each<[string, object[][], unknown[]]>([
    ["id and name in each piece", [[whole({ id: "c1" }, "")], [whole({ id: "c1" }, '{"city"')], [whole({ id: "c1" }, ':"Oslo"}')]], [oslo]],
    ["every index 0, empty ids", [[whole({ id: "" }, oslo)], [whole({ id: "" }, rome)]], [oslo, rome]],
    ["every index 0, ids", [[whole({ id: "a" }, oslo)], [whole({ id: "b" }, rome)]], [oslo, rome]],
    ["every index 0, one id", [[whole({ id: "a" }, oslo)], [whole({ id: "a" }, rome)]], [oslo, rome]],
    ["two calls in one delta, one index", [[whole({ id: "a" }, oslo), whole({ id: "b" }, rome)]], [oslo, rome]],
    ["two calls in one delta without ids", [[whole({}, oslo), whole({}, rome)]], [oslo, rome]],
    ["the same call twice", [[whole({ id: "a" }, oslo)], [whole({ id: "b" }, oslo)]], [oslo, oslo]],
    ["no index", [[whole({ index: undefined, id: "a" }, oslo)], [whole({ index: undefined, id: "b" }, rome)]], [oslo, rome]],
    ["no index and no id", [[whole({ index: undefined }, oslo)], [whole({ index: undefined }, rome)]], [oslo, rome]],
    [
      "in turns",
      [
        [whole({ id: "a" }, ""), whole({ index: 1, id: "b" }, "")],
        [call({}, { arguments: '{"city":' }), call({ index: 1 }, { arguments: '{"city":' })],
        [call({ index: 1 }, { arguments: '"Rome"}' })],
        [call({}, { arguments: '"Oslo"}' })],
      ],
      [oslo, rome],
    ],
    [
      "in turns, told apart by id alone",
      [
        [whole({ id: "a" }, '{"city":')],
        [whole({ id: "b" }, '{"city":')],
        [call({ id: "a" }, { arguments: '"Oslo"}' })],
        [call({ id: "b" }, { arguments: '"Rome"}' })],
      ],
      [oslo, rome],
    ],
    [
      "another id in each piece",
      [[whole({ id: "a" }, "")], [call({ id: "b" }, { arguments: '{"city"' })], [call({ id: "c" }, { arguments: ':"Oslo"}' })]],
      [oslo],
    ],
    ["a late id", [[whole({}, "")], [call({ id: "c1" }, { arguments: oslo })]], [oslo]],
    ["an empty id in further pieces", [[whole({ id: "a" }, '{"city"')], [call({ id: "" }, { name: "", arguments: ':"Oslo"}' })]], [oslo]],
    ["a growing index", [[whole({ id: "a" }, '{"city"')], [call({ index: 1 }, { arguments: ':"Oslo"}' })]], [oslo]],
    ["an index that begins at 1", [[whole({ index: 1, id: "a" }, "")], [call({ index: 1 }, { arguments: oslo })]], [oslo]],
    ["a name in pieces", [[call({ id: "a" }, { name: "get_" })], [call({}, { name: "weather", arguments: oslo })]], [oslo]],
    ["a name as far as it is", [[call({ id: "a" }, { name: "get" })], [call({}, { name: "get_weather", arguments: oslo })]], [oslo]],
    ["arguments as an object", [[whole({ id: "a" }, { city: "Oslo" })]], [oslo]],
    [
      "arguments as far as they are",
      [[whole({ id: "a" }, '{"ci')], [whole({ id: "a" }, '{"city":"Os')], [whole({ id: "a" }, oslo)]],
      [oslo],
    ],
    [
      "objects as far as they are",
      [[whole({ id: "a" }, {})], [whole({ id: "a" }, { city: "O" })], [whole({ id: "a" }, { city: "Oslo" })]],
      [oslo],
    ],
    [
      "arguments once more at the end",
      [[whole({ id: "a" }, '{"city"')], [call({}, { arguments: ':"Oslo"}' })], [whole({ id: "a" }, oslo)]],
      [oslo],
    ],
    [
      "{} before the arguments",
      [[whole({ id: "a" }, "{}")], [call({}, { arguments: '{"city"' })], [call({}, { arguments: ':"Oslo"}' })]],
      [oslo],
    ],
    ["an empty piece at the end", [[whole({ id: "a" }, oslo)], [call({}, { arguments: "" })], [whole({}, "")]], [oslo]],
    ["JSON within JSON", [[whole({ id: "a" }, JSON.stringify(oslo))]], [oslo]],
    ["no arguments", [[whole({ id: "a" }, null)]], ["{}"]],
    ["braces and quotes in texts", [[whole({ id: "a" }, '{"city":"}{\\"')], [whole({ id: "a" }, '[x"}')]], ['{"city":"}{\\"[x"}']],
  ])("%s", async (_, deltas, args) => {
    const { chat, ran } = await startWithTool(
      sendPieces(...deltas.map((tool_calls) => delta({ tool_calls })), finishEvent("tool_calls"), doneEvent),
    );
    await expectWhole(chat, "Done.");
    expect(ran).toEqual(args.map((text) => JSON.parse(String(text)) as unknown));
    const sent = chat.model.calls[1]?.body.messages[1] as { tool_calls: { function: { name: string; arguments: string } }[] };
    expect(sent.tool_calls.map(({ function: called }) => [called.name, JSON.parse(called.arguments)])).toEqual(
      args.map((text) => ["get_weather", JSON.parse(String(text))]),
    );
  });

  it.each<[string, string[]]>([
    [
      "function_call",
      [
        delta({ function_call: { name: "get_weather", arguments: '{"city"' } }),
        delta({ function_call: { arguments: ':"Oslo"}' } }),
        delta({}, "function_call"),
      ],
    ],
    [
      "the whole message at the end",
      [toEvent({ choices: [{ index: 0, message: { tool_calls: [whole({ id: "a" }, oslo)] }, finish_reason: "tool_calls" }] })],
    ],
    [
      "pieces, and the whole message at the end",
      [
        delta({ tool_calls: [whole({ id: "a" }, oslo)] }),
        toEvent({ choices: [{ index: 0, delta: {}, message: { tool_calls: [whole({ id: "a" }, oslo)] }, finish_reason: "tool_calls" }] }),
      ],
    ],
  ])("%s", async (_, events) => {
    const { chat, ran } = await startWithTool(sendPieces(...events, doneEvent));
    await expectWhole(chat, "Done.");
    expect(ran).toEqual([{ city: "Oslo" }]);
  });

  it("takes time in proportion to their number", async () => {
    const { createToolCallDrafts } = await import("../../src/lib/model/tool-calls.ts");
    const started = performance.now();
    const drafts = createToolCallDrafts();
    for (let index = 0; index < 80_000; index++) drafts.addCalls([{ index, id: `c${index}`, name: "get_weather", arguments: "{}" }], false);
    expect(drafts.finishCalls()).toHaveLength(80_000);
    expect(performance.now() - started).toBeLessThan(10_000);
  });

  it("counts arguments that are no text as what they are", async () => {
    const { chat } = await startWithTool(
      sendPieces(delta({ tool_calls: [whole({ id: "a" }, { city: "x".repeat(2_000) })] }), finishEvent("tool_calls")),
      {
        limits: { answerCharacters: 1_000 },
      },
    );
    await expectError(await chat.post(chatBody("Hi")), 502, "answer_too_large");
  });
});

it("appends the text of text parts, and nothing else of a list", async () => {
  const chat = await startChat({
    script: sendPieces(
      delta({ content: [{ type: "thinking", thinking: [{ type: "text", text: "Let me think." }] }] }),
      delta({ content: [{ type: "text", text: "The answer" }] }),
      delta({ content: " is 4." }),
      finishEvent(),
      doneEvent,
    ),
  });
  await expectWhole(chat, "The answer is 4.");
  expect((await chat.listStored())[1]?.message.content).toBe("The answer is 4.");
});

describe("reasoning", () => {
  it.each<[string, object[], object]>([
    [
      "reasoning_content",
      [{ reasoning_content: "I need " }, { reasoning_content: "the weather." }],
      { reasoning_content: "I need the weather." },
    ],
    ["reasoning", [{ reasoning: "I need " }, { reasoning: "the weather." }], { reasoning: "I need the weather." }],
    [
      "reasoning_details",
      [
        { reasoning_details: [{ type: "reasoning.text", text: "I need ", index: 0 }] },
        { reasoning_details: [{ type: "reasoning.text", text: "the weather.", index: 0, signature: "s" }] },
        { reasoning_details: [{ type: "reasoning.encrypted", data: "e", index: 1 }] },
      ],
      {
        reasoning_details: [
          { type: "reasoning.text", text: "I need the weather.", index: 0, signature: "s" },
          { type: "reasoning.encrypted", data: "e", index: 1 },
        ],
      },
    ],
  ])("goes back with its tool calls as %s, also in later turns, and is never shown", async (_, pieces, sent) => {
    const { chat } = await startWithTool(
      sendPieces(
        ...pieces.map((piece) => delta(piece)),
        delta({ tool_calls: [whole({ id: "a" }, oslo)] }),
        finishEvent("tool_calls"),
        doneEvent,
      ),
    );
    await expectWhole(chat, "Done.");
    expect(chat.model.calls[1]?.body.messages[1]).toMatchObject({ ...sent, tool_calls: [{ id: "a" }] });
    expect((await readResponse(chat.post(chatBody("Next", 2)))).text).toBe("Done.");
    expect(chat.model.calls[2]?.body.messages[1]).toMatchObject(sent);
  });

  it("is left out when another provider refuses it", async () => {
    const { chat } = await startWithTool(
      sendPieces(
        delta({ reasoning_content: "Hm." }),
        delta({ tool_calls: [whole({ id: "a" }, oslo)] }),
        finishEvent("tool_calls"),
        doneEvent,
      ),
    );
    await expectWhole(chat, "Done.");
    chat.model.always((call) =>
      JSON.stringify(call.body).includes("reasoning_content")
        ? rejectWith(422, { detail: "extra_forbidden" })(call)
        : answerWith("Fine.")(call),
    );
    expect((await readResponse(chat.post(chatBody("Next", 2)))).text).toBe("Fine.");
  });
});

describe("a prompt that the provider refused", () => {
  const image = [{ type: "image_url", image_url: { url: "https://example.com/a.png" } }];
  const refusesImages =
    (status: number): Script =>
    (call) =>
      JSON.stringify(call.body).includes("image_url")
        ? rejectWith(status, { error: { message: "no image" } })(call)
        : answerWith("Sure.")(call);

  it.each([400, 413, 422])("with %d stays stored, and is not sent again by any instance", async (status) => {
    const chat = await startChat({ script: refusesImages(status) });
    expect((await readResponse(chat.post(chatBody("Q1", 1)))).text).toBe("Sure.");
    await expectError(await chat.post(chatBody(image, 2)), 502, "model_failed");
    await chat.waitForTurns();
    expect((await chat.listStored()).map(({ id }) => id)).toEqual(["p1", "r1", "p2"]);
    const other = await startChat({ script: refusesImages(status), sharesStoreWith: chat });
    for (const [n, instance] of [chat, other, chat].entries()) {
      const id = n + 3;
      expect(await readResponse(instance.post(chatBody("Just tell me a joke", id)))).toMatchObject({ text: "Sure.", failed: false });
      expect(instance.model.calls.at(-1)?.body.messages.map(({ content }) => content)).not.toContainEqual(image);
    }
    // Refused once, and not asked for again.
    expect(chat.model.calls.filter(({ body }) => JSON.stringify(body).includes("image_url"))).toHaveLength(1);
    chat.model.always(answerWith("Now I can."));
    expect((await readResponse(chat.post(chatBody(image, 2)))).text).toBe("Now I can.");
    await readResponse(chat.post(chatBody("And now?", 9)));
    expect(JSON.stringify(chat.model.calls.at(-1)?.body.messages)).toContain("Now I can.");
  });

  it.each([401, 403, 404, 429, 500, 503])("with %d is sent again", async (status) => {
    const chat = await startChat();
    chat.model.next(rejectWith(status, {}));
    await readResponse(chat.post(chatBody("Q1", 1)));
    await readResponse(chat.post(chatBody("Q2", 2)));
    expect(chat.model.calls[1]?.body.messages.map(({ content }) => content)).toEqual(["Q1", "Q2"]);
  });

  it("with an error event is not sent again", async () => {
    const chat = await startChat();
    chat.model.next(sendPieces(toEvent({ error: { message: "prompt is too long", code: 400 } })));
    await expectError(await chat.post(chatBody("Q1", 1)), 502, "model_failed");
    await chat.waitForTurns();
    await readResponse(chat.post(chatBody("Q2", 2)));
    expect(chat.model.calls[1]?.body.messages.map(({ content }) => content)).toEqual(["Q2"]);
  });

  it("does no harm when its mark could not be stored", async () => {
    const chat = await startChat({ script: refusesImages(400) });
    const plain = await startChat({ sharesStoreWith: chat, script: rejectWith(500, {}) });
    await readResponse(plain.post(chatBody(image, 1)));
    await plain.waitForTurns();
    expect((await readResponse(chat.post(chatBody("A joke", 2)))).text).toBe("Sure.");
  });
});

it("bounds the tool results of a request, of this turn and of earlier ones", async () => {
  const limit: Script = (call) =>
    Number(call.headers["content-length"]) > 1_100_000
      ? rejectWith(400, { error: { message: "too large" } })(call)
      : answerWith("Done.")(call);
  const { chat } = await startWithTool(
    sendPieces(delta({ tool_calls: [whole({ id: "a" }, oslo)] }), finishEvent("tool_calls"), doneEvent),
    { script: limit },
    () => "x".repeat(3_000_000),
  );
  await expectWhole(chat, "Done.");
  expect(JSON.stringify(chat.model.calls[1]?.body.messages)).toMatch(/\[Cut: /);
  expect((await readResponse(chat.post(chatBody("Next", 2)))).text).toBe("Done.");
});

describe("ids of calls", () => {
  const step = (id: string) => sendPieces(delta({ tool_calls: [whole({ id }, oslo)] }), finishEvent("tool_calls"), doneEvent);
  it.each([
    ["the same in two steps", ["call_0", "call_0"]],
    ["with illegal characters", ["functions.get_weather:0"]],
    ["too long", ["x".repeat(100), `${"x".repeat(100)}y`]],
  ])("%s keep the rule in each request", async (_, ids) => {
    const { chat, ran } = await startWithTool(step(ids[0]!));
    chat.model.next(...ids.slice(1).map(step));
    await expectWhole(chat, "Done.");
    expect(ran).toHaveLength(ids.length);
    expect((await readResponse(chat.post(chatBody("Next", 2)))).text).toBe("Done.");
    expect(chat.model.calls).toHaveLength(ids.length + 2);
  });
});

it("never sends half of a surrogate pair", async () => {
  const { chat } = await startWithTool(
    sendPieces(delta({ tool_calls: [whole({ id: "a" }, '{"city":"\\ud83d"}')] }), finishEvent("tool_calls"), doneEvent),
    {},
    () => "Look: 😀😀😀😀".slice(0, -1),
  );
  await expectWhole(chat, "Done.");
  expect(chat.model.calls[1]?.body.messages[2]?.content).toBe("Look: 😀😀😀\ufffd");
});

describe("keep-alives", () => {
  const alive = [
    "data:\n\n",
    "data: : OPENROUTER PROCESSING\n\n",
    ": OPENROUTER PROCESSING\n\n",
    "event: ping\ndata: {}\n\n",
    "data:  \n\n",
  ];
  it.each(alive)("%j does no harm anywhere", async (event) => {
    const chat = await startChat({ script: sendPieces(event, textEvent("Hel"), event, textEvent("lo."), finishEvent(), event, doneEvent) });
    await expectWhole(chat, "Hello.");
  });

  it.each([
    ["an error event", toEvent({ error: { message: "gone" } })],
    ["JSON that is cut off", 'data: {"choices":[{"index"\n\n'],
  ])("%s still breaks the answer, also after its finish reason", async (_, event) => {
    const chat = await startChat({ script: sendPieces(textEvent("Hello."), finishEvent(), event, doneEvent) });
    await expectBroken(chat, "Hello.");
  });
});

describe("large events", () => {
  it("are read as far as limits.answerCharacters allows", async () => {
    const chat = await startChat({
      limits: { answerCharacters: 4_000_000 },
      script: sendPieces(textEvent("x".repeat(1_500_000)), finishEvent(), doneEvent),
    });
    await expectWhole(chat, "x".repeat(1_500_000));
  });

  it("may have much beside the answer", async () => {
    const chat = await startChat({
      script: sendPieces(
        textEvent("Whole."),
        finishEvent(),
        toEvent({ choices: [], usage: { total_tokens: 1 }, pad: "x".repeat(1_200_000) }),
        doneEvent,
      ),
    });
    await expectWhole(chat, "Whole.");
  });
});

describe("too many requests, within a 200", () => {
  it.each<[string, unknown]>([
    ["a code", { error: { message: "Provider returned error, sk-secret", code: 429 } }],
    ["a code that is text", { error: { message: "sk-secret", code: "429" } }],
    ["a word", { error: { message: "sk-secret", code: "rate_limit_exceeded" } }],
    ["an object of its own", { object: "error", message: "sk-secret", code: 429 }],
    ["a list", [{ error: { code: 429, status: "RESOURCE_EXHAUSTED", message: "sk-secret" } }]],
    ["a chunk", { choices: [], error: { code: 429, message: "sk-secret" } }],
  ])("as %s is the same as HTTP 429", async (_, event) => {
    const chat = await startChat({ script: sendPieces(toEvent(event), doneEvent) });
    const response = await chat.post(chatBody("Hi"));
    expect(await response.clone().text()).not.toContain("sk-secret");
    await expectError(response, 429, "rate_limited");
  });
});

it("takes a choice that is alone in its chunk, whatever its index", async () => {
  const texts = ["Wh", "isper", "ing", " trees"].map((content, index) => delta({ content }, null, index));
  const chat = await startChat({ script: sendPieces(...texts, delta({}, "stop", 4), doneEvent) });
  await expectWhole(chat, "Whispering trees");
});

it("takes an answer for whole whose connection breaks after the finish reason", async () => {
  const chat = await startChat({
    script: async (call) => {
      await call.send(textEvent("All said.") + finishEvent());
      await delay(80);
      call.reset();
    },
  });
  await expectWhole(chat, "All said.");
});

it("keeps the usage when an empty one follows", async () => {
  const counts = (prompt_tokens: number, completion_tokens: number) => ({
    prompt_tokens,
    completion_tokens,
    total_tokens: prompt_tokens + completion_tokens,
  });
  const { chat } = await startWithTool(
    sendPieces(
      delta({ tool_calls: [whole({ id: "a" }, oslo)] }),
      finishEvent("tool_calls"),
      toEvent({ choices: [], usage: counts(10, 9) }),
      doneEvent,
    ),
  );
  const end = toEvent({ ...chunk({}, "stop"), usage: counts(30, 2) });
  chat.model.next(
    sendPieces(
      textEvent("Done."),
      end,
      toEvent({ choices: [], usage: {} }),
      toEvent({ choices: [], usage: { prompt_tokens: -1 } }),
      doneEvent,
    ),
  );
  await expectWhole(chat, "Done.");
  await chat.waitForTurns();
  expect((await chat.listStored()).at(-1)?.usage).toEqual(counts(30, 2));
  expect(chat.turnEnds[0]?.usage).toEqual(counts(40, 11));
});

it.each([
  ["report.pdf", [{ type: "file", file: { filename: "report.pdf", file_data: "data:application/pdf;base64,AAAA" } }]],
  ["File", [{ type: "file", file: { file_data: "data:application/pdf;base64,AAAA" } }]],
  ["Image", [{ type: "image_url", image_url: { url: "https://example.com/a.png" } }]],
])("titles a thread %s after a prompt without text", async (title, content) => {
  const chat = await startChat();
  await readResponse(chat.post(chatBody(content)));
  expect((await chat.backingStore.getThread({ owner: "", threadId: "t" }))?.title).toBe(title);
});

it("may have no text after its tools: whole, replayed, and not sent as an empty message", async () => {
  const { chat, ran } = await startWithTool(
    sendPieces(delta({ tool_calls: [whole({ id: "a" }, oslo)] }), finishEvent("tool_calls"), doneEvent),
  );
  chat.model.next(sendPieces(delta({ role: "assistant", content: "" }), finishEvent(), doneEvent));
  await expectWhole(chat, "");
  await expectWhole(chat, "");
  expect([chat.model.calls.length, ran.length]).toEqual([2, 1]);
  expect((await readResponse(chat.post(chatBody("Next", 2)))).text).toBe("Done.");
  expect(chat.model.calls[2]?.body.messages.map(({ role }) => role)).toEqual(["user", "assistant", "tool", "user"]);
});

describe("the body of an error", () => {
  it("is read no further than a log can take, however it is compressed", async () => {
    const log = vi.spyOn(console, "error").mockImplementation(() => {});
    try {
      const bomb = gzipSync(Buffer.alloc(100_000_000, "x"));
      const chat = await startChat({
        onError: undefined,
        script: async (call) => {
          call.head(500, { "Content-Encoding": "gzip" });
          await call.send(bomb);
        },
      });
      await expectError(await chat.post(chatBody("Hi")), 502, "model_failed");
      await chat.waitForTurns();
      const line = String(log.mock.calls[0]?.[0]);
      expect(line).toMatch(/^chat-handler: model_failed \(502\)/);
      expect(line.length).toBeLessThanOrEqual(1_000);
      expect(line).not.toContain("\n");
    } finally {
      log.mockRestore();
    }
  });

  it("is not awaited for ever", { timeout: 15_000 }, async () => {
    const chat = await startChat({
      script: async (call) => {
        call.head(500);
        while (call.disconnectedAt === undefined) {
          await call.send("x");
          await Promise.race([call.closed, delay(100)]);
        }
      },
    });
    await expectError(await chat.post(chatBody("Hi")), 502, "model_failed");
  });
});
