/** Token counts as real providers send them. All over HTTP. */
import { expect, it } from "vitest";
import { delta, expectWhole, oslo, startWithTool, wholeCall } from "../support/dialects.ts";
import { chunk, doneEvent, finishEvent, sendPieces, textEvent, toEvent } from "../support/model-scripts.ts";
import { failOnUnhandledErrors } from "../support/unhandled-errors.ts";

failOnUnhandledErrors();

it("keeps the usage when an empty one follows", async () => {
  const counts = (prompt_tokens: number, completion_tokens: number) => ({
    prompt_tokens,
    completion_tokens,
    total_tokens: prompt_tokens + completion_tokens,
  });
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
