/** What an app can count and bound: every request, before its body is read and while it is worked on. */
import { setImmediate as soon, setTimeout as delay } from "node:timers/promises";
import { describe, expect, it } from "vitest";
import { ChatHandlerError } from "../../src/index.ts";
import { chatBody, expectError, readResponse, startChat, variants } from "../support/chat.ts";
import { failOnUnhandledErrors } from "../support/unhandled-errors.ts";
import { usedHeap } from "../support/heap.ts";
import { createGate, answerWith, answerAfter, sendPieces, textEvent } from "../support/model-scripts.ts";

failOnUnhandledErrors();

const authorize = ({ request }: { request: Request }) => ({ owner: request.headers.get("X-Owner") ?? "" });
const as = (owner: string, signal?: AbortSignal): RequestInit => ({
  headers: { "Content-Type": "application/json", "X-Owner": owner },
  ...(signal && { signal }),
});

describe.each(variants)("limits.turnsPerOwner, $name:", ({ way }) => {
  it("counts turns that run and wait, and joins; another owner is not affected", async () => {
    const end = createGate();
    const chat = await startChat({ ...way, authorize, limits: { turnsPerOwner: 3 }, script: answerAfter([end.opened, "Done"]) });
    const held = [chat.post(chatBody("Runs", 1), as("eve")), chat.post(chatBody("Waits", 2), as("eve"))];
    await chat.model.call(0);
    held.push(chat.post(chatBody("Runs", 1), as("eve")));
    await delay(50);
    const refused = await chat.post(chatBody("One too many", 3, "other"), as("eve"));
    expect(refused.headers.get("Retry-After")).toBe("1");
    await expectError(refused, 429, "too_many_turns");
    const honest = chat.post(chatBody("Hi"), as("ada"));
    end.open();
    expect(await readResponse(honest)).toMatchObject({ status: 200, text: "Done" });
    for (const response of held) expect(await readResponse(response)).toMatchObject({ status: 200, text: "Done" });
    expect((await readResponse(chat.post(chatBody("Again", 3, "other"), as("eve")))).text).toBe("Done");
    expect(await chat.listStored("other", "eve")).toHaveLength(2);
  });
});

it("counts a replay that nobody reads, until timeouts.read breaks it", async () => {
  const chat = await startChat({ script: answerWith("x".repeat(200_000)), limits: { turnsPerOwner: 2 }, timeouts: { read: 200 } });
  await readResponse(chat.post(chatBody("Hi")));
  const unread = [await chat.post(chatBody("Hi")), await chat.post(chatBody("Hi"))];
  await expectError(await chat.post(chatBody("Hi")), 429, "too_many_turns");
  await expect.poll(async () => (await readResponse(chat.post(chatBody("Hi")))).status, { timeout: 5_000 }).toBe(200);
  for (const response of unread) expect(await readResponse(response)).toMatchObject({ failed: true });
});

it("counts a turn until it is stored, although its client has left", async () => {
  const stored = createGate();
  const chat = await startChat({ limits: { turnsPerOwner: 1 }, script: sendPieces(textEvent("Half"), textEvent(" more")) });
  chat.store.injectFaults(({ method, nth }) => (method === "appendMessages" && nth === 1 ? { before: stored.opened } : undefined));
  const controller = new AbortController();
  const response = await chat.post(chatBody("Hi"), { signal: controller.signal });
  const reader = response.body!.getReader();
  await reader.read();
  controller.abort();
  await soon();
  await expectError(await chat.post(chatBody("Hi", 2)), 429, "too_many_turns");
  stored.open();
  await chat.waitForTurns();
  expect((await chat.post(chatBody("Hi", 2))).status).toBe(200);
});

it("gives the place back when a request fails", async () => {
  const chat = await startChat({ limits: { turnsPerOwner: 1 } });
  chat.store.injectFaults(() => "reject");
  for (let n = 0; n < 3; n++) await expectError(await chat.post(chatBody("Hi")), 503, "store_failed");
  chat.store.injectFaults();
  await readResponse(chat.post(chatBody("Hi")));
  for (let n = 0; n < 3; n++) await expectError(await chat.post(chatBody("Other", 1)), 409, "id_conflict");
  expect((await readResponse(chat.post(chatBody("Hi", 2)))).status).toBe(200);
});

it("does not print too_many_turns by default: a user must not be able to fill the log", async () => {
  const chat = await startChat({ onError: undefined, limits: { turnsPerOwner: 1 }, script: answerWith("x".repeat(200_000)) });
  const unread = await chat.post(chatBody("Hi"));
  const printed: unknown[] = [];
  const { error } = console;
  console.error = (...args) => void printed.push(args);
  await expectError(await chat.post(chatBody("Hi", 2)), 429, "too_many_turns");
  console.error = error;
  expect(printed).toEqual([]);
  await unread.body?.cancel();
});

describe("timeouts.read", () => {
  it("breaks the stream of a client that stops reading after the end, and of no other", async () => {
    const chat = await startChat({ script: answerWith("x".repeat(500_000)), timeouts: { read: 300 } });
    const slow = (await chat.post(chatBody("Hi"))).body!.getReader();
    let characters = 0;
    for (let result = await slow.read(); !result.done; result = await slow.read()) {
      characters += result.value.length;
      await delay(100);
    }
    expect(characters).toBe(500_000);
    const stuck = await chat.post(chatBody("Hi"));
    await delay(900);
    expect(await readResponse(stuck)).toMatchObject({ failed: true });
    expect(chat.errors).toEqual([]);
  });

  it("frees the answers of 200 replays that nobody reads", async () => {
    const chat = await startChat({ script: answerWith("ä".repeat(900_000)), timeouts: { read: 100 } });
    await readResponse(chat.post(chatBody("Hi")));
    const before = usedHeap();
    const responses = [];
    for (let n = 0; n < 200; n++) responses.push(await chat.post(chatBody("Hi")));
    await delay(300);
    // Each answer takes 0.9 MB, and the responses are still there.
    expect(usedHeap() - before).toBeLessThan(20_000_000);
    expect(responses.length).toBe(200);
  });
});

describe("admit", () => {
  it("refuses before the body is read", async () => {
    const chat = await startChat({
      admit: ({ request }) => (request.headers.has("Cookie") ? undefined : new Response("No", { status: 403 })),
    });
    let pulled = 0;
    const body = new ReadableStream<Uint8Array>({ pull: () => void pulled++ }, { highWaterMark: 0 });
    const request = new Request(chat.url, {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body,
      duplex: "half",
    } as RequestInit);
    const response = await chat.handler(request);
    expect([response.status, await response.text(), pulled]).toEqual([403, "No", 0]);
    expect(chat.errors).toEqual([]);
    const allowed = await chat.post(chatBody("Hi"), { headers: { "Content-Type": "application/json", Cookie: "a=b" } });
    expect((await readResponse(allowed)).text).toBe("Answer to Hi.");
  });

  it("refuses with what it throws", async () => {
    const refusals: [thrown: unknown, status: number][] = [
      [new ChatHandlerError("rate_limited", "Later.", { retryAfter: "7" }), 429],
      [new Response(null, { status: 418 }), 418],
    ];
    for (const [thrown, status] of refusals) {
      const chat = await startChat({
        admit() {
          throw thrown;
        },
      });
      expect((await chat.post(chatBody("Hi"))).status).toBe(status);
      expect(chat.store.calls).toEqual([]);
    }
  });

  it.each<[unknown]>([[true], [false], [null], ["ok"], [{ owner: "ada" }]])("fails closed when it returns %j", async (result) => {
    const chat = await startChat({ admit: () => result as undefined });
    await expectError(await chat.post(chatBody("Hi")), 500, "internal");
    expect(String(chat.errors[0]?.cause)).toContain("admit must return undefined");
    expect(chat.store.calls).toEqual([]);
  });

  it("counts every request: turns, joins, replays, and those that are refused later", async () => {
    let counted = 0;
    const chat = await startChat({ admit: () => void counted++ });
    await Promise.all([readResponse(chat.post(chatBody("Hi"))), readResponse(chat.post(chatBody("Hi")))]);
    await readResponse(chat.post(chatBody("Hi")));
    await chat.post("not JSON");
    expect(counted).toBe(4);
  });
});

it("refuses a body that arrives in tiny pieces, long before it is read", async () => {
  const chat = await startChat();
  let pieces = 0;
  const bytes = new TextEncoder().encode(JSON.stringify(chatBody("x".repeat(90_000))));
  const body = new ReadableStream<Uint8Array>({
    pull(controller) {
      controller.enqueue(bytes.subarray(pieces, ++pieces));
      if (pieces === bytes.length) controller.close();
    },
  });
  const request = new Request(chat.url, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body,
    duplex: "half",
  } as RequestInit);
  await expectError(await chat.handler(request), 400, "invalid_request");
  expect(pieces).toBeLessThan(2_000);
});

describe("a title", () => {
  it("costs nothing when clients leave before there is text", async () => {
    let titles = 0;
    const chat = await startChat({ generateTitle: () => `Title ${++titles}`, script: (call) => call.closed });
    const controllers = Array.from({ length: 100 }, () => new AbortController());
    const requests = controllers.map(({ signal }, n) => chat.post(chatBody("Hi", 1, `t${n}`), { signal }));
    for (const controller of controllers) controller.abort();
    for (const request of requests) expect((await request).status).toBe(499);
    await chat.waitForTurns();
    expect(titles).toBe(0);
  });

  it("is aborted with its turn", async () => {
    const begun = Promise.withResolvers<AbortSignal>();
    const chat = await startChat({
      script: async (call) => {
        await call.send(textEvent("Half"));
        await call.closed;
      },
      generateTitle: ({ signal }) => {
        begun.resolve(signal);
        return new Promise<string>(() => {});
      },
    });
    const controller = new AbortController();
    const response = await chat.post(chatBody("Hi"), { signal: controller.signal });
    const signal = await begun.promise;
    expect(signal.aborted).toBe(false);
    controller.abort();
    await chat.waitForTurns();
    expect(signal.aborted).toBe(true);
    expect(chat.errors).toEqual([]);
    await response.body?.cancel().catch(() => {});
    expect(await chat.backingStore.getThread({ owner: "", threadId: "t" })).toMatchObject({ title: "Hi" });
  });

  it("is aborted after timeouts.turn", async () => {
    const chat = await startChat({ timeouts: { turn: 100 }, generateTitle: () => new Promise<string>(() => {}) });
    expect((await readResponse(chat.post(chatBody("Hi")))).failed).toBe(false);
    await chat.waitForTurns();
    expect(chat.errors).toMatchObject([{ code: "internal", cause: new Error("generateTitle took longer than 100 ms.") }]);
  });
});
