/** Reasoning as real providers stream it goes back with its tool calls. All over HTTP. */
import { describe, expect, it } from "vitest";
import { chatBody, readResponse } from "../support/chat.ts";
import { delta, expectWhole, oslo, startWithTool, wholeCall } from "../support/dialects.ts";
import { answerWith, doneEvent, finishEvent, rejectWith, sendPieces } from "../support/model-scripts.ts";
import { failOnUnhandledErrors } from "../support/unhandled-errors.ts";

failOnUnhandledErrors();

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
        delta({ tool_calls: [wholeCall({ id: "a" }, oslo)] }),
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
        delta({ tool_calls: [wholeCall({ id: "a" }, oslo)] }),
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
