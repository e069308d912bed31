/** What every request to a provider keeps: bounded tool results, legal ids of calls, well-formed text. All over HTTP. */
import { describe, expect, it } from "vitest";
import { chatBody, readResponse } from "../support/chat.ts";
import { delta, expectWhole, oslo, startWithTool, wholeCall } from "../support/dialects.ts";
import { answerWith, doneEvent, finishEvent, rejectWith, sendPieces } from "../support/model-scripts.ts";
import type { Script } from "../support/model-server.ts";
import { failOnUnhandledErrors } from "../support/unhandled-errors.ts";

failOnUnhandledErrors();

it("bounds the tool results of a request, of this turn and of earlier ones", async () => {
  const limit: Script = (call) =>
    Number(call.headers["content-length"]) > 1_100_000
      ? rejectWith(400, { error: { message: "too large" } })(call)
      : answerWith("Done.")(call);
  const { chat } = await startWithTool(
    sendPieces(delta({ tool_calls: [wholeCall({ id: "a" }, oslo)] }), finishEvent("tool_calls"), doneEvent),
    { script: limit },
    () => "x".repeat(3_000_000),
  );
  await expectWhole(chat, "Done.");
  expect(JSON.stringify(chat.model.calls[1]?.body.messages)).toMatch(/\[Cut: /);
  expect((await readResponse(chat.post(chatBody("Next", 2)))).text).toBe("Done.");
});

it("bounds many results together, and keeps the newest", async () => {
  const calls = Array.from({ length: 12 }, (_, index) => wholeCall({ index, id: `c${index}` }, JSON.stringify({ city: `City ${index}` })));
  const { chat } = await startWithTool(sendPieces(delta({ tool_calls: calls }), finishEvent("tool_calls"), doneEvent), {}, () =>
    "x".repeat(100_000),
  );
  await expectWhole(chat, "Done.");
  const results = chat.model.calls[1]?.body.messages.filter(({ role }) => role === "tool") ?? [];
  const lengths = results.map(({ content }) => content?.length ?? 0);
  expect(lengths).toHaveLength(12);
  expect(lengths.reduce((sum, length) => sum + length, 0)).toBeLessThanOrEqual(300_000);
  expect(lengths.at(-1)).toBe(100_000);
});

describe("ids of calls", () => {
  const step = (id: string) => sendPieces(delta({ tool_calls: [wholeCall({ id }, oslo)] }), finishEvent("tool_calls"), doneEvent);
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
    sendPieces(delta({ tool_calls: [wholeCall({ id: "a" }, '{"city":"\\ud83d"}')] }), finishEvent("tool_calls"), doneEvent),
    {},
    () => "Look: 😀😀😀😀".slice(0, -1),
  );
  await expectWhole(chat, "Done.");
  expect(chat.model.calls[1]?.body.messages[2]?.content).toBe("Look: 😀😀😀\ufffd");
});
