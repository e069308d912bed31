/** Stopping a turn by a request of its own. */
import { setTimeout as delay } from "node:timers/promises";
import { describe, expect, it, vi } from "vitest";
import { chatBody, expectError, readResponse, startChat, summarize, variants } from "../support/chat.ts";
import { answerThenStall, createGate, echoPrompt, neverAnswer } from "../support/model-scripts.ts";
import { failOnUnhandledErrors } from "../support/unhandled-errors.ts";

failOnUnhandledErrors();

const first = { threadId: "t", responseId: "r1" };

describe.each(variants)("$name", ({ way }) => {
  it("aborts the model call, stores the partial answer and breaks the stream", async () => {
    const chat = await startChat({ ...way, script: answerThenStall("Partial ", "answer") });
    const response = await chat.post(chatBody("Hi"));
    const stopped = await chat.stop(first);
    expect([stopped.status, stopped.headers.get("Cache-Control")]).toEqual([204, "no-store"]);
    // It is stored by now.
    const stored = summarize(await chat.listStored());
    expect(stored[1]).toMatch(/^assistant r1 stopped "Partial/);
    expect((await readResponse(response)).failed).toBe(true);
    await (
      await chat.model.call(0)
    ).disconnected;
    await chat.waitForTurns();
    expect(chat.turnEnds).toMatchObject([{ status: "stopped", error: { code: "turn_stopped" } }]);
    expect(chat.errors).toEqual([]);
    // The same ids make a whole answer, and the same stop again changes nothing.
    chat.model.always(echoPrompt);
    expect((await chat.stop(first)).status).toBe(204);
    expect(await readResponse(chat.post(chatBody("Hi")))).toMatchObject({ text: "Answer to Hi.", failed: false });
    expect((await chat.stop(first)).status).toBe(204);
    expect(summarize(await chat.listStored())).toEqual(['user p1 complete "Hi"', 'assistant r1 complete "Answer to Hi."']);
  });
});

it("without a response id stops what runs on the thread", async () => {
  const chat = await startChat({ script: neverAnswer });
  expect((await chat.stop({ threadId: "t" })).status).toBe(204);
  const response = chat.post(chatBody("Hi"));
  await chat.model.call(0);
  expect((await chat.stop({ threadId: "other" })).status).toBe(204);
  expect((await chat.stop({ threadId: "t" })).status).toBe(204);
  await expectError(await response, 409, "turn_stopped");
  // It stops no turn that comes later.
  chat.model.always(echoPrompt);
  expect((await readResponse(chat.post(chatBody("Hi")))).text).toBe("Answer to Hi.");
});

it("without a response id stops one turn, however often it is sent meanwhile", async () => {
  const chat = await startChat({ script: answerThenStall("Partial") });
  const running = chat.post(chatBody("Hi"));
  const reading = readResponse(running);
  await running;
  const waiting = chat.post(chatBody("Next", 2));
  await delay(20);
  chat.model.always(echoPrompt);
  const [stopping, gate] = [createGate(), createGate()];
  chat.store.injectFaults(({ method }) => {
    if (method !== "appendMessages") return undefined;
    stopping.open();
    return { before: gate.opened };
  });
  const stops = [chat.stop({ threadId: "t" })];
  await stopping.opened;
  stops.push(chat.stop({ threadId: "t" }));
  await delay(20);
  gate.open();
  expect((await Promise.all(stops)).map(({ status }) => status)).toEqual([204, 204]);
  expect((await reading).failed).toBe(true);
  expect(await readResponse(waiting)).toEqual({ status: 200, text: "Answer to Next.", failed: false });
});

it("is always possible for an owner whose turns fill the quota, and has a quota of its own", async () => {
  const chat = await startChat({ script: answerThenStall("Partial"), limits: { turnsPerOwner: 1 } });
  const response = await chat.post(chatBody("Hi"));
  await expectError(await chat.post(chatBody("Next", 2)), 429, "too_many_turns");
  const gate = createGate();
  chat.store.injectFaults(({ method }) => (method === "appendMessages" ? { before: gate.opened } : undefined));
  const stopped = chat.stop(first);
  await vi.waitFor(async () => expectError(await chat.stop({ threadId: "other" }), 429, "too_many_turns"));
  gate.open();
  expect((await stopped).status).toBe(204);
  expect((await readResponse(response)).failed).toBe(true);
  expect((await chat.stop(first)).status).toBe(204);
});

it("answers errors with their status, even with `showErrors`", async () => {
  const chat = await startChat({ showErrors: true });
  await expectError(await chat.stop({ responseId: "r1" }), 400, "invalid_request");
  await expectError(await chat.resume({ threadId: "t", responseId: "r1", offset: "1" }), 400, "invalid_request");
});

it("before the first text answers the prompt with 409", async () => {
  const chat = await startChat({ script: neverAnswer });
  const response = chat.post(chatBody("Hi"));
  await chat.model.call(0);
  expect((await chat.stop(first)).status).toBe(204);
  await expectError(await response, 409, "turn_stopped");
  expect(summarize(await chat.listStored())).toEqual(['user p1 complete "Hi"']);
});

it("of a turn that waits stores its prompt, calls no model, and leaves the turns around it alone", async () => {
  const gate = createGate();
  const chat = await startChat({
    script: async (call) => {
      await gate.opened;
      await echoPrompt(call);
    },
  });
  const answers = [1, 2, 3].map((n) => chat.post(chatBody(`Prompt ${n}`, n)));
  await chat.model.call(0);
  const stopped = chat.stop({ threadId: "t", responseId: "r2" });
  gate.open();
  expect((await stopped).status).toBe(204);
  const [one, two, three] = await Promise.all(answers);
  await expectError(two!, 409, "turn_stopped");
  expect((await readResponse(one!)).text).toBe("Answer to Prompt 1.");
  expect((await readResponse(three!)).text).toBe("Answer to Prompt 3.");
  expect(summarize(await chat.listStored()).map((line) => line.split(" ", 2).join(" "))).toEqual([
    "user p1",
    "assistant r1",
    "user p2",
    "user p3",
    "assistant r3",
  ]);
  expect(chat.model.calls).toHaveLength(2);
});

it("that overtakes its prompt stops it, once", async () => {
  const chat = await startChat();
  for (let times = 0; times < 2; times++) expect((await chat.stop(first)).status).toBe(204);
  await expectError(await chat.post(chatBody("Hi")), 409, "turn_stopped");
  expect(chat.model.calls).toHaveLength(0);
  expect(summarize(await chat.listStored())).toEqual(['user p1 complete "Hi"']);
  expect((await chat.stop(first)).status).toBe(204);
  expect((await readResponse(chat.post(chatBody("Hi")))).text).toBe("Answer to Hi.");
});

it("reaches only the owner's turns", async () => {
  const chat = await startChat({
    script: answerThenStall("Partial"),
    authorize: ({ request }) => ({ owner: request.headers.get("X-Owner") ?? "ada" }),
  });
  const response = await chat.post(chatBody("Hi"));
  const foreign = { method: "POST", headers: { "Content-Type": "application/json", "X-Owner": "bob" }, body: JSON.stringify(first) };
  expect((await chat.stop(first, foreign)).status).toBe(204);
  expect(summarize(await chat.listStored("t", "ada"))).toEqual(['user p1 complete "Hi"']);
  expect((await chat.stop(first)).status).toBe(204);
  expect((await readResponse(response)).failed).toBe(true);
});

it("names a wrong field, allows only POST with JSON, and gives its place in the quota back", async () => {
  const chat = await startChat({ limits: { turnsPerOwner: 1 } });
  expect((await expectError(await chat.stop({ threadId: "t", responseId: 7 }), 400, "invalid_request")).param).toBe("responseId");
  expect((await expectError(await chat.stop({ responseId: "r" }), 400, "invalid_request")).param).toBe("threadId");
  await expectError(await chat.stop("", { method: "PUT" }), 405, "method_not_allowed");
  await expectError(await chat.stop("", { headers: { "Content-Type": "text/plain" }, body: "{}" }), 415, "unsupported_media_type");
  for (let times = 0; times < 3; times++) expect((await chat.stop(first)).status).toBe(204);
});

it("reports a store that fails, and answers 503", async () => {
  const chat = await startChat();
  chat.store.injectFaults(({ method }) => (method === "listMessages" ? "reject" : undefined));
  await expectError(await chat.stop(first), 503, "store_failed");
});

it("answers 202 when the store takes longer than five seconds to store the partial answer", async () => {
  const chat = await startChat({ script: answerThenStall("Partial"), timeouts: { store: 60_000 } });
  const response = await chat.post(chatBody("Hi"));
  const gate = createGate();
  chat.store.injectFaults(({ method }) => (method === "appendMessages" ? { before: gate.opened } : undefined));
  expect((await chat.stop(first)).status).toBe(202);
  gate.open();
  expect((await readResponse(response)).failed).toBe(true);
  expect((await chat.stop(first)).status).toBe(204);
  expect(summarize(await chat.listStored())[1]).toBe('assistant r1 stopped "Partial"');
});
