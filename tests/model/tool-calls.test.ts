/** Tool calls as real providers stream them: each call runs once, with its own name and arguments. All over HTTP. */
import { describe, expect, it } from "vitest";
import { createToolCallDrafts } from "../../src/lib/model/tool-calls.ts";
import { chatBody, expectError } from "../support/chat.ts";
import { callPiece, delta, expectWhole, oslo, rome, startWithTool, wholeCall } from "../support/dialects.ts";
import { doneEvent, finishEvent, sendPieces, toEvent } from "../support/model-scripts.ts";
import { failOnUnhandledErrors } from "../support/unhandled-errors.ts";

failOnUnhandledErrors();

describe("tool calls in pieces", () => {
  it.each<[string, object[][], unknown[]]>([
    [
      "id and name in each piece",
      [[wholeCall({ id: "c1" }, "")], [wholeCall({ id: "c1" }, '{"city"')], [wholeCall({ id: "c1" }, ':"Oslo"}')]],
      [oslo],
    ],
    ["every index 0, empty ids", [[wholeCall({ id: "" }, oslo)], [wholeCall({ id: "" }, rome)]], [oslo, rome]],
    ["every index 0, ids", [[wholeCall({ id: "a" }, oslo)], [wholeCall({ id: "b" }, rome)]], [oslo, rome]],
    ["every index 0, one id", [[wholeCall({ id: "a" }, oslo)], [wholeCall({ id: "a" }, rome)]], [oslo, rome]],
    ["two calls in one delta, one index", [[wholeCall({ id: "a" }, oslo), wholeCall({ id: "b" }, rome)]], [oslo, rome]],
    ["two calls in one delta without ids", [[wholeCall({}, oslo), wholeCall({}, rome)]], [oslo, rome]],
    ["the same call twice", [[wholeCall({ id: "a" }, oslo)], [wholeCall({ id: "b" }, oslo)]], [oslo, oslo]],
    ["no index", [[wholeCall({ index: undefined, id: "a" }, oslo)], [wholeCall({ index: undefined, id: "b" }, rome)]], [oslo, rome]],
    ["no index and no id", [[wholeCall({ index: undefined }, oslo)], [wholeCall({ index: undefined }, rome)]], [oslo, rome]],
    [
      "in turns",
      [
        [wholeCall({ id: "a" }, ""), wholeCall({ index: 1, id: "b" }, "")],
        [callPiece({}, { arguments: '{"city":' }), callPiece({ index: 1 }, { arguments: '{"city":' })],
        [callPiece({ index: 1 }, { arguments: '"Rome"}' })],
        [callPiece({}, { arguments: '"Oslo"}' })],
      ],
      [oslo, rome],
    ],
    [
      "in turns, told apart by id alone",
      [
        [wholeCall({ id: "a" }, '{"city":')],
        [wholeCall({ id: "b" }, '{"city":')],
        [callPiece({ id: "a" }, { arguments: '"Oslo"}' })],
        [callPiece({ id: "b" }, { arguments: '"Rome"}' })],
      ],
      [oslo, rome],
    ],
    [
      "in turns, told apart by id alone, the second one without arguments at first",
      [
        [wholeCall({ id: "a" }, '{"city":')],
        [wholeCall({ id: "b" }, "")],
        [callPiece({ id: "a" }, { arguments: '"Oslo"}' })],
        [callPiece({ id: "b" }, { arguments: rome })],
      ],
      [oslo, rome],
    ],
    [
      "in turns, without an index",
      [
        [wholeCall({ index: undefined, id: "a" }, '{"city":')],
        [wholeCall({ index: undefined, id: "b" }, '{"city":')],
        [callPiece({ index: undefined, id: "a" }, { arguments: '"Oslo"}' })],
        [callPiece({ index: undefined, id: "b" }, { arguments: '"Rome"}' })],
      ],
      [oslo, rome],
    ],
    ["the same call twice, without ids", [[wholeCall({}, oslo)], [wholeCall({}, oslo)]], [oslo, oslo]],
    ["the whole call once more, without its id", [[wholeCall({ id: "a" }, oslo)], [wholeCall({}, oslo)]], [oslo]],
    ["two calls without arguments in one delta", [[wholeCall({}, null), wholeCall({}, null)]], ["{}", "{}"]],
    ["a piece that names no tool", [[callPiece({ index: 1, id: "b" }, {})], [wholeCall({ id: "a" }, oslo)]], [oslo]],
    ["a growing index before the arguments", [[wholeCall({ id: "a" }, "")], [callPiece({ index: 1 }, { arguments: oslo })]], [oslo]],
    [
      "another id in each piece",
      [
        [wholeCall({ id: "a" }, "")],
        [callPiece({ id: "b" }, { arguments: '{"city"' })],
        [callPiece({ id: "c" }, { arguments: ':"Oslo"}' })],
      ],
      [oslo],
    ],
    ["a late id", [[wholeCall({}, "")], [callPiece({ id: "c1" }, { arguments: oslo })]], [oslo]],
    [
      "an empty id in further pieces",
      [[wholeCall({ id: "a" }, '{"city"')], [callPiece({ id: "" }, { name: "", arguments: ':"Oslo"}' })]],
      [oslo],
    ],
    ["a growing index", [[wholeCall({ id: "a" }, '{"city"')], [callPiece({ index: 1 }, { arguments: ':"Oslo"}' })]], [oslo]],
    ["an index that begins at 1", [[wholeCall({ index: 1, id: "a" }, "")], [callPiece({ index: 1 }, { arguments: oslo })]], [oslo]],
    ["a name in pieces", [[callPiece({ id: "a" }, { name: "get_" })], [callPiece({}, { name: "weather", arguments: oslo })]], [oslo]],
    [
      "a name as far as it is",
      [[callPiece({ id: "a" }, { name: "get" })], [callPiece({}, { name: "get_weather", arguments: oslo })]],
      [oslo],
    ],
    ["arguments as an object", [[wholeCall({ id: "a" }, { city: "Oslo" })]], [oslo]],
    [
      "arguments as far as they are",
      [[wholeCall({ id: "a" }, '{"ci')], [wholeCall({ id: "a" }, '{"city":"Os')], [wholeCall({ id: "a" }, oslo)]],
      [oslo],
    ],
    [
      "objects as far as they are",
      [[wholeCall({ id: "a" }, {})], [wholeCall({ id: "a" }, { city: "O" })], [wholeCall({ id: "a" }, { city: "Oslo" })]],
      [oslo],
    ],
    [
      "arguments once more at the end",
      [[wholeCall({ id: "a" }, '{"city"')], [callPiece({}, { arguments: ':"Oslo"}' })], [wholeCall({ id: "a" }, oslo)]],
      [oslo],
    ],
    [
      "{} before the arguments",
      [[wholeCall({ id: "a" }, "{}")], [callPiece({}, { arguments: '{"city"' })], [callPiece({}, { arguments: ':"Oslo"}' })]],
      [oslo],
    ],
    [
      "a nested object that begins like the whole one",
      [[wholeCall({ id: "a" }, '{"city":')], [callPiece({}, { arguments: '{"city":' })], [callPiece({}, { arguments: '"Oslo"}}' })]],
      ['{"city":{"city":"Oslo"}}'],
    ],
    ["an empty piece at the end", [[wholeCall({ id: "a" }, oslo)], [callPiece({}, { arguments: "" })], [wholeCall({}, "")]], [oslo]],
    ["JSON within JSON", [[wholeCall({ id: "a" }, JSON.stringify(oslo))]], [oslo]],
    ["no arguments", [[wholeCall({ id: "a" }, null)]], ["{}"]],
    ["braces and quotes in texts", [[wholeCall({ id: "a" }, '{"city":"}{\\"')], [wholeCall({ id: "a" }, '[x"}')]], ['{"city":"}{\\"[x"}']],
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
      [toEvent({ choices: [{ index: 0, message: { tool_calls: [wholeCall({ id: "a" }, oslo)] }, finish_reason: "tool_calls" }] })],
    ],
    [
      "pieces, and the whole message at the end",
      [
        delta({ tool_calls: [wholeCall({ id: "a" }, oslo)] }),
        toEvent({
          choices: [{ index: 0, delta: {}, message: { tool_calls: [wholeCall({ id: "a" }, oslo)] }, finish_reason: "tool_calls" }],
        }),
      ],
    ],
    [
      "the whole call once more in the last chunk, without ids",
      [delta({ tool_calls: [wholeCall({}, oslo)] }), delta({ tool_calls: [wholeCall({}, oslo)] }, "tool_calls")],
    ],
  ])("%s", async (_, events) => {
    const { chat, ran } = await startWithTool(sendPieces(...events, doneEvent));
    await expectWhole(chat, "Done.");
    expect(ran).toEqual([{ city: "Oslo" }]);
  });

  it.each<[string, string[]]>([
    ["two equal calls in the last chunk, without ids", [delta({ tool_calls: [wholeCall({}, oslo), wholeCall({}, oslo)] }, "tool_calls")]],
    [
      "pieces of two calls, and one of them in the whole message at the end",
      [
        delta({ tool_calls: [wholeCall({ id: "a" }, oslo), wholeCall({ index: 1, id: "b" }, oslo)] }),
        toEvent({
          choices: [{ index: 0, delta: {}, message: { tool_calls: [wholeCall({ id: "a" }, oslo)] }, finish_reason: "tool_calls" }],
        }),
      ],
    ],
  ])("%s, are two calls", async (_, events) => {
    const { chat, ran } = await startWithTool(sendPieces(...events, doneEvent));
    await expectWhole(chat, "Done.");
    expect(ran).toEqual([{ city: "Oslo" }, { city: "Oslo" }]);
  });

  it("takes time in proportion to their number", () => {
    const started = performance.now();
    const drafts = createToolCallDrafts();
    for (let index = 0; index < 80_000; index++) drafts.addCalls([{ index, id: `c${index}`, name: "get_weather", arguments: "{}" }], false);
    expect(drafts.finishCalls()).toHaveLength(80_000);
    expect(performance.now() - started).toBeLessThan(10_000);
  });

  it("counts arguments that are no text as what they are", async () => {
    const { chat } = await startWithTool(
      sendPieces(delta({ tool_calls: [wholeCall({ id: "a" }, { city: "x".repeat(2_000) })] }), finishEvent("tool_calls")),
      {
        limits: { answerCharacters: 1_000 },
      },
    );
    await expectError(await chat.post(chatBody("Hi")), 502, "answer_too_large");
  });
});
