/** What happens to a turn after its last reader has disconnected, and what a new prompt does to the turns ahead. */
import { setTimeout as delay } from "node:timers/promises";
import { expect, it } from "vitest";
import { type Chat, chatBody, expectError, readResponse, startChat, summarize, variants } from "../support/chat.ts";
import {
  answerAfter,
  answerThenStall,
  createGate,
  doneEvent,
  echoPrompt,
  finishEvent,
  sendPieces,
  textEvent,
} from "../support/model-scripts.ts";
import { failOnUnhandledErrors } from "../support/unhandled-errors.ts";

failOnUnhandledErrors();

/** Sends a prompt, waits for the first text, and disconnects. */
async function disconnect(chat: Chat): Promise<void> {
  const controller = new AbortController();
  const init = { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(chatBody("Hi")) };
  const response = await chat.post("", { ...init, signal: controller.signal });
  const reader = response.body!.getReader();
  await reader.read();
  controller.abort();
  await reader.cancel().catch(() => {});
}

it.each(variants)('finishes the answer with "continue", $name', async ({ way }) => {
  const gate = createGate();
  const chat = await startChat({
    ...way,
    disconnect: "continue",
    script: answerAfter([Promise.resolve(), "One "], [gate.opened, "two."]),
  });
  await disconnect(chat);
  await delay(100);
  gate.open();
  await chat.waitForTurns();
  expect(summarize(await chat.listStored())[1]).toBe('assistant r1 complete "One two."');
});

it.each(variants)("stops the turn when nobody has come back within graceMs, $name", async ({ way }) => {
  const chat = await startChat({ ...way, disconnect: { graceMs: 50 }, script: answerThenStall("Partial") });
  await disconnect(chat);
  await (
    await chat.model.call(0)
  ).disconnected;
  await chat.waitForTurns();
  expect(summarize(await chat.listStored())[1]).toBe('assistant r1 stopped "Partial"');
});

it("goes on for whoever comes back within graceMs, and counts again when they leave, too", async () => {
  const chat = await startChat({ disconnect: { graceMs: 400 }, script: answerThenStall("Partial") });
  await disconnect(chat);
  await delay(50);
  const resumed = await chat.resume({ threadId: "t", responseId: "r1" });
  await delay(600);
  const call = await chat.model.call(0);
  expect(call.disconnectedAt).toBeUndefined();
  await resumed.body!.cancel();
  await call.disconnected;
  await chat.waitForTurns();
  expect(summarize(await chat.listStored())[1]).toBe('assistant r1 stopped "Partial"');
});

it("an answer longer than the read-ahead goes on to its end without a reader", async () => {
  const text = "x".repeat(10_000);
  const pieces = Array.from({ length: 30 }, () => textEvent(text));
  const gate = createGate();
  const chat = await startChat({
    disconnect: "continue",
    script: async (call) => {
      await call.send(textEvent("y"));
      await gate.opened;
      await sendPieces(...pieces)(call);
      await answerAfter([Promise.resolve(), "z"])(call);
    },
  });
  await disconnect(chat);
  gate.open();
  await chat.waitForTurns();
  const stored = summarize(await chat.listStored())[1] ?? "";
  expect([stored.slice(0, 25), stored.length]).toEqual(['assistant r1 complete "yx', 'assistant r1 complete ""'.length + 300_002]);
});

it("an answer that waits for its reader goes on when the reader leaves", async () => {
  const pieces = Array.from({ length: 30 }, () => textEvent("x".repeat(10_000)));
  const chat = await startChat({ disconnect: "continue", script: sendPieces(...pieces, finishEvent() + doneEvent) });
  const reader = (await chat.post(chatBody("Hi"))).body!.getReader();
  await reader.read();
  await delay(100);
  await reader.cancel();
  await chat.waitForTurns();
  expect((await chat.listStored())[1]).toMatchObject({ status: "complete", message: { content: "x".repeat(300_000) } });
});

it('keeps what a turn has and goes on with the new prompt with "interrupt"', async () => {
  const chat = await startChat({ concurrency: "interrupt", script: answerThenStall("Partial") });
  const first = await chat.post(chatBody("One"));
  chat.model.always(echoPrompt);
  const second = await readResponse(chat.post(chatBody("Two", 2)));
  expect(second).toMatchObject({ text: "Answer to Two.", failed: false });
  expect(await readResponse(first)).toMatchObject({ text: "Partial", failed: true });
  expect(summarize(await chat.listStored())).toEqual([
    'user p1 complete "One"',
    'assistant r1 stopped "Partial"',
    'user p2 complete "Two"',
    'assistant r2 complete "Answer to Two."',
  ]);
});

it('with "interrupt", the prompts of one thread sent at once are all stored in their order, and the last one is answered', async () => {
  const chat = await startChat({ concurrency: "interrupt" });
  const answers = await Promise.all([1, 2, 3, 4].map((n) => chat.post(chatBody(`Prompt ${n}`, n))));
  for (const answer of answers.slice(0, 3)) await expectError(answer, 409, "turn_stopped");
  expect((await readResponse(answers[3]!)).text).toBe("Answer to Prompt 4.");
  expect(summarize(await chat.listStored()).map((line) => line.split(" ")[1])).toEqual(["p1", "p2", "p3", "p4", "r4"]);
});

it('with "interrupt", a prompt that was answered replays its answer and interrupts nothing', async () => {
  const chat = await startChat({ concurrency: "interrupt" });
  await readResponse(chat.post(chatBody("One")));
  const gate = createGate();
  chat.model.always(answerAfter([Promise.resolve(), "Two "], [gate.opened, "more."]));
  const running = await chat.post(chatBody("Two", 2));
  expect(await readResponse(chat.post(chatBody("One")))).toMatchObject({ text: "Answer to One.", failed: false });
  gate.open();
  expect(await readResponse(running)).toMatchObject({ text: "Two more.", failed: false });
});
