/** Finish reasons of real providers: their words, and those that come too early or right before a cut. All over HTTP. */
import { setTimeout as delay } from "node:timers/promises";
import { describe, expect, it } from "vitest";
import { chatBody, expectError, startChat } from "../support/chat.ts";
import { delta, expectBroken, expectWhole, oslo, startWithTool } from "../support/dialects.ts";
import { doneEvent, finishEvent, sendPieces, textEvent, toEvent } from "../support/model-scripts.ts";
import { failOnUnhandledErrors } from "../support/unhandled-errors.ts";

failOnUnhandledErrors();

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
