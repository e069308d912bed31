/** Token counts as real providers send them. All over HTTP. */
import { expect, it } from "vitest";
import { startChat } from "../support/chat.ts";
import { delta, expectWhole, oslo, startWithTool, wholeCall } from "../support/dialects.ts";
import { chunk, doneEvent, finishEvent, sendPieces, textEvent, toEvent } from "../support/model-scripts.ts";
import { failOnUnhandledErrors } from "../support/unhandled-errors.ts";

failOnUnhandledErrors();

const counts = (prompt_tokens: number, completion_tokens: number) => ({
  prompt_tokens,
  completion_tokens,
  total_tokens: prompt_tokens + completion_tokens,
});

it.each<[string, object[]]>([
  ["within the choice", [{ choices: [{ index: 0, delta: {}, usage: counts(30, 2) }] }]],
  ["in x_groq", [{ choices: [], x_groq: { id: "r", usage: counts(30, 2) } }]],
  ["growing in each chunk", [0, 1, 2].map((completion) => ({ choices: [], usage: counts(30, completion) }))],
  ["and then zeros", [counts(30, 2), counts(0, 0)].map((usage) => ({ choices: [], usage }))],
  [
    "in two parts",
    [
      { choices: [], usage: { prompt_tokens: 30 } },
      { choices: [], usage: { completion_tokens: 2, total_tokens: 32 } },
    ],
  ],
])("reads the usage %s", async (_, chunks) => {
  const chat = await startChat({ script: sendPieces(textEvent("Done."), ...chunks.map(toEvent), finishEvent(), doneEvent) });
  await expectWhole(chat, "Done.");
  await chat.waitForTurns();
  expect(chat.turnEnds[0]?.usage).toEqual(counts(30, 2));
});

it("keeps the usage when an empty one follows", async () => {
  const { chat } = await startWithTool(
    sendPieces(
      delta({ tool_calls: [wholeCall({ id: "a" }, oslo)] }),
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
