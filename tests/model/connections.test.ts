/** The connection of a model call after the answer. */
import { setTimeout as delay } from "node:timers/promises";
import { describe, expect, it } from "vitest";
import { chatBody, readResponse, startChat } from "../support/chat.ts";
import { failOnUnhandledErrors } from "../support/unhandled-errors.ts";
import type { ModelCall } from "../support/model-server.ts";
import { doneEvent, finishEvent, textEvent } from "../support/model-scripts.ts";

failOnUnhandledErrors();

const whole = { status: 200, text: "All.", failed: false };
const answerInOneWrite = (call: ModelCall) => call.send(textEvent("All.") + finishEvent() + doneEvent);

describe("the connection of a model call", () => {
  it("is reused by the next call", async () => {
    const chat = await startChat();
    for (const number of [1, 2, 3]) {
      await readResponse(chat.post(chatBody("Hi", number)));
      await chat.waitForTurns();
      // The end of the response follows its last event. A fixed delay could be too short on a busy machine.
      for (let look = 0; look < 5; look++) await delay(10);
    }
    expect(new Set(chat.model.calls.map(({ port }) => port)).size).toBe(1);
  });

  it("is closed if the model keeps it open after its last event", async () => {
    const chat = await startChat();
    chat.model.next(async (call) => {
      await answerInOneWrite(call);
      await call.closed;
    });
    expect(await readResponse(chat.post(chatBody("Hi")))).toEqual(whole);
    const [call] = chat.model.calls;
    expect(await Promise.race([call?.disconnected, delay(5_000)])).toBeDefined();
  });

  it("is closed if the model keeps sending after its last event", async () => {
    const chat = await startChat();
    chat.model.next(async (call) => {
      await answerInOneWrite(call);
      while (call.disconnectedAt === undefined) {
        await call.send(": still here\n\n");
        await delay(10);
      }
    });
    expect(await readResponse(chat.post(chatBody("Hi")))).toEqual(whole);
    const [call] = chat.model.calls;
    expect(await Promise.race([call?.disconnected, delay(5_000)])).toBeDefined();
  });

  it.each(["openai", "wrapped"] as const)("is closed if the model keeps it open after its finish reason: %s client", async (clientKind) => {
    const chat = await startChat({ clientKind });
    chat.model.next(async (call) => {
      await call.send(textEvent("All.") + finishEvent());
      await call.closed;
    });
    expect(await readResponse(chat.post(chatBody("Hi")))).toEqual(whole);
    const [call] = chat.model.calls;
    expect(await Promise.race([call?.disconnected, delay(5_000)])).toBeDefined();
  });

  it("is closed if the answer is too large, also with a client that logs", async () => {
    const chat = await startChat({ clientKind: "logged", limits: { answerCharacters: 3 } });
    chat.model.next(async (call) => {
      await call.send(textEvent("All."));
      await call.closed;
    });
    await readResponse(chat.post(chatBody("Hi")));
    const [call] = chat.model.calls;
    expect(await Promise.race([call?.disconnected, delay(5_000)])).toBeDefined();
  });
});
