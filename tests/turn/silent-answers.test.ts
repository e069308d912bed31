/** Answers without text. All over HTTP. */
import { expect, it } from "vitest";
import { chatBody, readResponse } from "../support/chat.ts";
import { delta, expectWhole, oslo, startWithTool, wholeCall } from "../support/dialects.ts";
import { doneEvent, finishEvent, sendPieces } from "../support/model-scripts.ts";
import { failOnUnhandledErrors } from "../support/unhandled-errors.ts";

failOnUnhandledErrors();

it("may have no text after its tools: whole, replayed, and not sent as an empty message", async () => {
  const { chat, ran } = await startWithTool(
    sendPieces(delta({ tool_calls: [wholeCall({ id: "a" }, oslo)] }), finishEvent("tool_calls"), doneEvent),
  );
  chat.model.next(sendPieces(delta({ role: "assistant", content: "" }), finishEvent(), doneEvent));
  await expectWhole(chat, "");
  await expectWhole(chat, "");
  expect([chat.model.calls.length, ran.length]).toEqual([2, 1]);
  expect((await readResponse(chat.post(chatBody("Next", 2)))).text).toBe("Done.");
  expect(chat.model.calls[2]?.body.messages.map(({ role }) => role)).toEqual(["user", "assistant", "tool", "user"]);
});
