/** The queue: one turn at a time on each thread, in order. */
import { setTimeout as delay } from "node:timers/promises";
import { describe, expect, it } from "vitest";
import type { ChatHandlerOptions } from "../../src/index.ts";
import { chatBody, type Chat, expectError, summarize, readResponse, startChat, variants } from "../support/chat.ts";
import { failOnUnhandledErrors } from "../support/unhandled-errors.ts";
import { echoOf, createGate, neverAnswer, answerAfter, sendPieces, answerThenStall, textEvent } from "../support/model-scripts.ts";

failOnUnhandledErrors();

/** Blocks the commit of the first answer. */
function blockFirstCommit({ store }: Chat) {
  const held = createGate();
  const reached = createGate();
  store.injectFaults(({ method, nth }) => {
    if (method !== "appendMessages" || nth !== 1) return undefined;
    reached.open();
    return { before: held.opened };
  });
  return { held, reached };
}

describe.each(variants)("$name", ({ way }) => {
  it("answers 20 simultaneous prompts in order, each with the whole history", async () => {
    const chat = await startChat(way);
    const numbers = Array.from({ length: 20 }, (_, index) => index + 1);
    const seen = await Promise.all(numbers.map(async (n) => readResponse(chat.post(chatBody(`Prompt ${n}`, n)))));
    for (const [index, { text, failed }] of seen.entries())
      expect({ text, failed }).toEqual({ text: echoOf(`Prompt ${index + 1}`), failed: false });
    await chat.waitForTurns();
    const stored = await chat.listStored();
    // Over a server, requests may arrive in another order than they were sent. The order must only be the same everywhere.
    const order = stored.filter(({ message }) => message.role === "user").map(({ id }) => Number(id.slice(1)));
    expect(order.toSorted((a, b) => a - b)).toEqual(numbers);
    expect(way.via === "direct" ? order : numbers).toEqual(numbers);
    expect(summarize(stored)).toEqual(
      order.flatMap((n) => [`user p${n} complete "Prompt ${n}"`, `assistant r${n} complete "${echoOf(`Prompt ${n}`)}"`]),
    );
    // Each model call receives the whole conversation before it.
    for (const [index, { body }] of chat.model.calls.entries()) {
      expect(body.messages.map(({ content }) => content)).toEqual(
        order.slice(0, index + 1).flatMap((n, place) => (place === index ? [`Prompt ${n}`] : [`Prompt ${n}`, echoOf(`Prompt ${n}`)])),
      );
    }
  });

  it("answers a prompt right after a stop, after the stored partial answer", async () => {
    const chat = await startChat(way);
    chat.model.next(answerThenStall("Stopped he"));
    const stop = new AbortController();
    const first = await chat.post(chatBody("First", 1), { signal: stop.signal });
    const seen = readResponse(first);
    await delay(5);
    stop.abort();
    const next = chat.post(chatBody("Second", 2));
    expect(await readResponse(next)).toEqual({ status: 200, text: "Answer to Second.", failed: false });
    await seen;
    await chat.waitForTurns();
    expect(summarize(await chat.listStored())).toEqual([
      'user p1 complete "First"',
      'assistant r1 stopped "Stopped he"',
      'user p2 complete "Second"',
      'assistant r2 complete "Answer to Second."',
    ]);
    expect(chat.model.calls[1]?.body.messages.map(({ content }) => content)).toEqual(["First", "Stopped he", "Second"]);
  });

  it("stores the stopped answer before it answers the next prompt, even with a slow store", async () => {
    const chat = await startChat(way);
    chat.model.next(answerThenStall("Stopped he"));
    const { held, reached } = blockFirstCommit(chat);
    const stop = new AbortController();
    const seen = readResponse(await chat.post(chatBody("First", 1), { signal: stop.signal }));
    await delay(5);
    stop.abort();
    await reached.opened;
    const next = readResponse(chat.post(chatBody("Second", 2)));
    await delay(10);
    expect(chat.model.calls.length).toBe(1);
    held.open();
    await Promise.all([seen, next]);
    await chat.waitForTurns();
    expect((await chat.listStored()).map(({ id }) => id)).toEqual(["p1", "r1", "p2", "r2"]);
  });

  it("answers at once on other threads and for other owners", async () => {
    const chat = await startChat({ ...way, authorize: ({ request }) => ({ owner: request.headers.get("X-Owner") ?? "" }) });
    chat.model.next(answerThenStall("A"));
    const stop = new AbortController();
    const running = readResponse(await chat.post(chatBody("Wait", 1), { signal: stop.signal }));
    expect((await readResponse(chat.post(chatBody("Other thread", 1, "t2")))).text).toBe("Answer to Other thread.");
    const headers = { "Content-Type": "application/json", "X-Owner": "b" };
    expect((await readResponse(chat.post(chatBody("Other owner", 1), { headers }))).text).toBe("Answer to Other owner.");
    stop.abort();
    await running;
  });

  it('rejects a second prompt with 409 under "reject", and does not store it', async () => {
    const end = createGate();
    const chat = await startChat({ ...way, concurrency: "reject", script: answerAfter([Promise.resolve(), "One"], [end.opened, "."]) });
    const first = await chat.post(chatBody("First", 1));
    const second = await chat.post(chatBody("Second", 2));
    expect(second.headers.get("Retry-After")).toMatch(/^\d+$/);
    await expectError(second, 409, "thread_busy");
    end.open();
    expect((await readResponse(first)).text).toBe("One.");
    await chat.waitForTurns();
    expect((await chat.listStored()).map(({ id }) => id)).toEqual(["p1", "r1"]);
    expect((await readResponse(chat.post(chatBody("Second", 2)))).failed).toBe(false);
  });
});

it('joins and replays under "reject", too', async () => {
  const end = createGate();
  const chat = await startChat({ concurrency: "reject" });
  await readResponse(chat.post(chatBody("Old", 0)));
  chat.model.next(answerAfter([end.opened, "One"]));
  const [first, joined] = [chat.post(chatBody("First", 1)), chat.post(chatBody("First", 1))];
  await chat.model.call(1);
  expect((await readResponse(chat.post(chatBody("Old", 0)))).text).toBe("Answer to Old.");
  end.open();
  expect([(await readResponse(first)).text, (await readResponse(joined)).text]).toEqual(["One", "One"]);
});

it('accepts a prompt right after a stop under "reject"', async () => {
  const chat = await startChat({ concurrency: "reject" });
  chat.model.next(answerThenStall("Stopped he"));
  const { held, reached } = blockFirstCommit(chat);
  const stop = new AbortController();
  const seen = readResponse(await chat.post(chatBody("First", 1), { signal: stop.signal }));
  await delay(5);
  stop.abort();
  await reached.opened; // its partial answer is being stored, so it is still in the queue
  const next = readResponse(chat.post(chatBody("Second", 2)));
  await delay(5);
  held.open();
  expect((await next).text).toBe("Answer to Second.");
  await seen;
  await chat.waitForTurns();
  expect((await chat.listStored()).map(({ id }) => id)).toEqual(["p1", "r1", "p2", "r2"]);
});

it("joins a request that is sent again while it waits", async () => {
  const end = createGate();
  const chat = await startChat();
  chat.model.next(answerAfter([end.opened, "One"]));
  const first = readResponse(chat.post(chatBody("First", 1)));
  await chat.model.call(0);
  const both = [readResponse(chat.post(chatBody("Second", 2))), readResponse(chat.post(chatBody("Second", 2)))];
  await delay(5);
  end.open();
  await first;
  for (const { text } of await Promise.all(both)) expect(text).toBe("Answer to Second.");
  expect(chat.model.calls.length).toBe(2);
});

it("answers a prompt that is sent again after its client has left the queue", async () => {
  const end = createGate();
  const chat = await startChat();
  chat.model.next(answerAfter([end.opened, "One"]));
  const first = readResponse(chat.post(chatBody("First", 1)));
  await chat.model.call(0);
  const looked = chat.store.calls.length;
  const leaver = new AbortController();
  const left = chat.post(chatBody("Second", 2), { signal: leaver.signal });
  while (chat.store.calls.length === looked) await new Promise(setImmediate);
  leaver.abort();
  await expectError(await left, 499, "client_gone");
  const again = readResponse(chat.post(chatBody("Second", 2)));
  end.open();
  await first;
  expect(await again).toEqual({ status: 200, text: "Answer to Second.", failed: false });
  await chat.waitForTurns();
  expect((await chat.listStored()).map(({ id }) => id)).toEqual(["p1", "r1", "p2", "r2"]);
});

describe("the queue is bounded", () => {
  it("in length: one prompt too many is rejected with 409 and not stored", async () => {
    const end = createGate();
    const chat = await startChat({ limits: { queue: 2 } });
    chat.model.next(answerAfter([end.opened, "One"]));
    const first = readResponse(chat.post(chatBody("First", 1)));
    await chat.model.call(0);
    const waiting = [readResponse(chat.post(chatBody("Second", 2))), readResponse(chat.post(chatBody("Third", 3)))];
    await expectError(await chat.post(chatBody("Fourth", 4)), 409, "thread_busy");
    end.open();
    await Promise.all([first, ...waiting]);
    await chat.waitForTurns();
    expect((await chat.listStored()).map(({ id }) => id)).toEqual(["p1", "r1", "p2", "r2", "p3", "r3"]);
  });

  it.each([
    ["after it keep their order", false],
    ["that arrive later still wait for the running turn", true],
  ])("in time: a prompt that waited too long is rejected with 409, and those %s", async (_, comesLater) => {
    const end = createGate();
    const chat = await startChat({ timeouts: { queue: 30 } });
    const patient = await startChat({ store: chat.store });
    chat.model.next(answerAfter([end.opened, "One"]));
    const first = readResponse(chat.post(chatBody("First", 1)));
    await chat.model.call(0);
    const second = chat.post(chatBody("Second", 2));
    if (comesLater) await second;
    const third = readResponse(patient.post(chatBody("Third", 3)));
    await expectError(await second, 409, "thread_busy");
    await delay(20);
    expect(patient.model.calls).toEqual([]);
    end.open();
    await first;
    expect((await third).text).toBe("Answer to Third.");
    await chat.waitForTurns();
    expect((await chat.listStored()).map(({ id }) => id)).toEqual(["p1", "r1", "p3", "r3"]);
  });
});

it.each<[what: string, (chat: Chat) => Promise<unknown>]>([
  ["its thread", (chat) => chat.backingStore.deleteThread({ owner: "", threadId: "t" })],
  ["all of its owner", (chat) => chat.backingStore.deleteOwner("")],
])("a waiting prompt is not stored after a deletion of %s", async (_, remove) => {
  const chat = await startChat();
  const end = createGate();
  chat.model.next(answerAfter([Promise.resolve(), "Begin"], [end.opened, " end."]));
  const first = readResponse(chat.post(chatBody("First", 1)));
  await chat.model.call(0);
  const waiting = [chat.post(chatBody("My secret", 2)), chat.post(chatBody("Another", 3))];
  while (chat.store.calls.length < 4) await new Promise(setImmediate);
  await remove(chat);
  end.open();
  expect((await first).failed).toBe(true);
  for (const response of waiting) await expectError(await response, 409, "thread_deleted");
  await chat.waitForTurns();
  expect((await chat.backingStore.listThreads("", { limit: 10 })).threads).toEqual([]);
  expect(chat.model.calls.length).toBe(1);
  // Sent again, it creates a new thread.
  expect((await readResponse(chat.post(chatBody("My secret", 2)))).text).toBe("Answer to My secret.");
});

it.each([
  { when: "and had looked before the first prompt was stored", isSentAgain: false },
  { when: "and the thread had begun with this very prompt", isSentAgain: true },
])("a waiting prompt is not stored after a deletion of its thread, $when", async ({ isSentAgain }) => {
  const chat = await startChat();
  if (isSentAgain) {
    chat.model.next(sendPieces(textEvent("Half")));
    await readResponse(chat.post(chatBody("Mine", 2)));
    await chat.waitForTurns();
  }
  const stored = createGate();
  const deleted = createGate();
  chat.store.injectFaults(({ method, nth }) => (method === "appendMessages" && nth === 0 ? { before: stored.opened } : undefined));
  const calls = chat.model.calls.length;
  chat.model.next(answerAfter([deleted.opened, "Late."]));
  const first = readResponse(chat.post(chatBody("First", 1)));
  if (isSentAgain) await chat.model.call(calls);
  const looked = chat.store.calls.length;
  const mine = chat.post(chatBody("Mine", 2));
  while (chat.store.calls.length === looked) await new Promise(setImmediate);
  await delay(5);
  stored.open();
  await chat.model.call(calls);
  await chat.backingStore.deleteThread({ owner: "", threadId: "t" });
  deleted.open();
  expect((await first).failed || (await first).status === 409).toBe(true);
  await expectError(await mine, 409, "thread_deleted");
  await chat.waitForTurns();
  expect((await chat.backingStore.listThreads("", { limit: 10 })).threads).toEqual([]);
});

/** Sends two prompts. The client of the second leaves, and its prompt waits for longer than `timeouts.queue`. */
async function leaveQueue(options: Pick<ChatHandlerOptions, "disconnect"> = {}): Promise<Chat> {
  const end = createGate();
  const chat = await startChat({ ...options, timeouts: { queue: 30 } });
  chat.model.next(answerAfter([end.opened, "One"]));
  const first = readResponse(chat.post(chatBody("First", 1)));
  await chat.model.call(0);
  const stop = new AbortController();
  const second = chat.post(chatBody("Second", 2), { signal: stop.signal });
  await delay(10);
  stop.abort();
  await expectError(await second, 499, "client_gone");
  await delay(60);
  end.open();
  await first;
  await chat.waitForTurns();
  return chat;
}

it("a prompt of a disconnected client keeps waiting, without a timeout", async () => {
  const chat = await leaveQueue();
  expect((await chat.listStored()).map(({ id }) => id)).toEqual(["p1", "r1", "p2"]);
  expect([chat.model.calls.length, chat.errors.length]).toEqual([1, 0]);
});

it.each([["continue"], [{ graceMs: 60_000 }]] as const)("so does one whose answer may go on without it: %j", async (disconnect) => {
  const chat = await leaveQueue({ disconnect });
  expect((await chat.listStored()).map(({ id }) => id)).toEqual(["p1", "r1", "p2", "r2"]);
});

it("the time in the queue does not count toward timeouts.turn", async () => {
  const end = createGate();
  const slow = await startChat({ script: answerAfter([end.opened, "One"]) });
  const chat = await startChat({ store: slow.store, timeouts: { turn: 500 } });
  const first = readResponse(slow.post(chatBody("First", 1)));
  await slow.model.call(0);
  const second = readResponse(chat.post(chatBody("Second", 2)));
  await delay(700);
  end.open();
  await first;
  expect(await second).toEqual({ status: 200, text: "Answer to Second.", failed: false });
});

describe("the next turn runs", () => {
  it.each<[string, (chat: Chat) => Promise<unknown>]>([
    ["after a broken answer", (chat) => (chat.model.next(sendPieces(textEvent("Half"))), readResponse(chat.post(chatBody("First", 1))))],
    [
      "after a failed store",
      (chat) => {
        chat.store.injectFaults(({ number }) => (number === 0 ? "throw" : undefined));
        return readResponse(chat.post(chatBody("First", 1)));
      },
    ],
    [
      "after a disconnect before the first byte",
      async (chat) => {
        chat.model.next(neverAnswer);
        const stop = new AbortController();
        const first = chat.post(chatBody("First", 1), { signal: stop.signal });
        await chat.model.call(0);
        stop.abort();
        return first;
      },
    ],
  ])("%s", async (_, act) => {
    const chat = await startChat();
    await act(chat);
    expect((await readResponse(chat.post(chatBody("Second", 2)))).text).toBe("Answer to Second.");
  });
});

it("a prompt that would interrupt is not stored after a deletion of its thread between the look before its entry and the one after", async () => {
  const chat = await startChat({ concurrency: "interrupt" });
  await readResponse(chat.post(chatBody("First", 1)));
  await chat.waitForTurns();
  const key = { owner: "", threadId: "t" };
  // Each prompt looks twice.
  chat.store.injectFaults(({ method, nth }) =>
    method === "listMessages" && nth === 3 ? { before: chat.backingStore.deleteThread(key) } : undefined,
  );
  await expectError(await chat.post(chatBody("Second", 2)), 409, "thread_deleted");
  await chat.waitForTurns();
  expect(await chat.backingStore.getThread(key)).toBe(undefined);
});
