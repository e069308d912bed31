/** Events and chunks as real providers send them: keep-alives, large events, lists of parts, indexes of choices. All over HTTP. */
import { describe, expect, it } from "vitest";
import { startChat } from "../support/chat.ts";
import { delta, expectBroken, expectWhole } from "../support/dialects.ts";
import { doneEvent, finishEvent, sendPieces, textEvent, toEvent } from "../support/model-scripts.ts";
import { failOnUnhandledErrors } from "../support/unhandled-errors.ts";

failOnUnhandledErrors();

it("appends the text of text parts, and nothing else of a list", async () => {
  const chat = await startChat({
    script: sendPieces(
      delta({ content: [{ type: "thinking", thinking: [{ type: "text", text: "Let me think." }] }] }),
      delta({
        content: [
          { type: "reasoning", text: "Two and two." },
          { type: "text", text: "The answer" },
          { type: "reference", text: "[1]" },
        ],
      }),
      delta({ content: " is 4." }),
      finishEvent(),
      doneEvent,
    ),
  });
  await expectWhole(chat, "The answer is 4.");
  expect((await chat.listStored())[1]?.message.content).toBe("The answer is 4.");
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

it("takes a choice that is alone in its chunk, whatever its index", async () => {
  const texts = ["Wh", "isper", "ing", " trees"].map((content, index) => delta({ content }, null, index));
  const chat = await startChat({ script: sendPieces(...texts, delta({}, "stop", 4), doneEvent) });
  await expectWhole(chat, "Whispering trees");
});
