/** Backpressure: a slow client slows the model down, and nothing accumulates in between. */
import { setTimeout as delay } from "node:timers/promises";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import type { ChatCompletionChunk } from "openai/resources/chat/completions";
import { describe, expect, it } from "vitest";
import { chatBody, readResponse, startChat, variants } from "../support/chat.ts";
import { failOnUnhandledErrors } from "../support/unhandled-errors.ts";
import type { ModelCall, Script } from "../support/model-server.ts";
import { chunk, doneEvent, finishEvent, createGate, answerWith, answerAfter, textEvent } from "../support/model-scripts.ts";

failOnUnhandledErrors();

setFlagsFromString("--expose-gc");
const collectGarbage = runInNewContext("gc") as () => void;

const MiB = 1024 * 1024;
const limits = { answerCharacters: 100 * MiB };
const delta = "0123456789abcdef".repeat(1024);

/** Answers with this many bytes. */
const answerWithBytes =
  (bytes: number): Script =>
  async (call) => {
    for (let sent = 0; sent < bytes && call.disconnectedAt === undefined; sent += delta.length) await call.send(textEvent(delta));
    await call.send(finishEvent() + doneEvent);
  };

describe.each(variants)("$name", ({ way }) => {
  it("pauses the model while the client does not read, and closes the call when the client disconnects", async () => {
    // A first turn, so that loaded and compiled code does not count.
    await readResponse((await startChat(way)).post(chatBody("Hi")));
    const before = await measureMemory();
    const chat = await startChat({ ...way, limits, script: answerWithBytes(64 * MiB) });
    const response = await chat.post(chatBody("Hi"));
    const reader = response.body?.getReader();
    expect((await reader?.read())?.value?.length).toBeGreaterThan(0);
    const call = await chat.model.call(0);
    const written = await waitUntilBlocked(call);
    // The sockets' buffers, which the kernel grows to a few MB each, and our 64 Ki characters.
    expect(written).toBeLessThan(24 * MiB);
    // Only the text that must be stored later is kept in memory.
    expect((await measureMemory()) - before).toBeLessThan(12 * MiB);
    // Measured again later: the model must not advance at all.
    await delay(50);
    expect(call.written).toBe(written);
    await reader?.cancel();
    await call.disconnected;
    await chat.waitForTurns();
    expect((await chat.listStored()).map(({ id, status }) => `${id} ${status}`)).toEqual(["p1 complete", "r1 stopped"]);
  });

  it("continues when the client reads again", async () => {
    const size = 8 * MiB;
    const chat = await startChat({ ...way, limits, script: answerWithBytes(size) });
    const reader = (await chat.post(chatBody("Hi"))).body?.getReader();
    const first = await reader?.read();
    await waitUntilBlocked(await chat.model.call(0));
    let length = first?.value?.length ?? 0;
    for (let part = await reader?.read(); part && !part.done; part = await reader?.read()) length += part.value.length;
    expect(length).toBe(size);
    await chat.waitForTurns();
    expect((await chat.listStored())[1]).toMatchObject({ status: "complete", message: { content: delta.repeat(size / delta.length) } });
  });

  it("applies no model timeout during backpressure", async () => {
    const size = 8 * MiB;
    const chat = await startChat({ ...way, limits, script: answerWithBytes(size), timeouts: { firstChunk: 500, idle: 500 } });
    const response = await chat.post(chatBody("Hi"));
    const call = await chat.model.call(0);
    await waitUntilBlocked(call);
    await delay(1200);
    expect(call.disconnectedAt).toBeUndefined();
    const { text, failed } = await readResponse(response);
    expect({ length: text.length, failed }).toEqual({ length: size, failed: false });
  });

  it("stores a short answer that its client never reads", async () => {
    const chat = await startChat(way);
    const response = await chat.post(chatBody("Hi"));
    await chat.waitForTurns();
    expect((await chat.listStored())[1]).toMatchObject({ id: "r1", status: "complete", message: { content: "Answer to Hi." } });
    expect((await readResponse(response)).text).toBe("Answer to Hi.");
  });

  it("times out a long answer that its client never reads", async () => {
    const chat = await startChat({ ...way, limits, script: answerWithBytes(64 * MiB), timeouts: { turn: 600 } });
    const response = await chat.post(chatBody("Hi"));
    const call = await chat.model.call(0);
    await call.disconnected;
    await chat.waitForTurns();
    expect(chat.errors).toMatchObject([{ code: "turn_timeout", status: 504 }]);
    expect((await chat.listStored()).map(({ id, status }) => `${id} ${status}`)).toEqual(["p1 complete", "r1 failed"]);
    expect((await readResponse(response)).failed).toBe(true);
    const patient = await startChat({ sharesStoreWith: chat });
    expect((await readResponse(patient.post(chatBody("Hi")))).text).toBe("Answer to Hi.");
  });

  it("sends the first text at once, and later text before the answer ends", async () => {
    const [second, end] = [createGate(), createGate()];
    const chat = await startChat({
      ...way,
      script: answerAfter([Promise.resolve(), "First"], [second.opened, " second"], [end.opened, "."]),
    });
    const response = await chat.post(chatBody("Hi"));
    const reader = response.body?.pipeThrough(new TextDecoderStream()).getReader();
    expect((await reader?.read())?.value).toBe("First");
    second.open();
    expect((await reader?.read())?.value).toBe(" second");
    end.open();
    expect((await reader?.read())?.value).toBe(".");
    expect((await reader?.read())?.done).toBe(true);
  });
});

it("follows its fastest reader: a stalled reader delays nobody", async () => {
  const size = 4 * MiB;
  const chat = await startChat({ limits, script: answerWithBytes(size) });
  const [stalled, fast] = await Promise.all([chat.post(chatBody("Hi")), chat.post(chatBody("Hi"))]);
  const seen = await readResponse(fast);
  expect({ length: seen.text.length, failed: seen.failed }).toEqual({ length: size, failed: false });
  // The stalled reader still receives everything.
  expect((await readResponse(stalled)).text.length).toBe(size);
});

it("reads no further ahead of a slow client than of one that does not read", async () => {
  let sent = 0;
  async function* speak() {
    for (; sent < 4 * MiB; sent += 100) yield chunk({ content: "x".repeat(100) }) as ChatCompletionChunk;
    yield chunk({}, "stop") as ChatCompletionChunk;
  }
  const client = { chat: { completions: { create: async () => speak() } } };
  const chat = await startChat({ client, limits, flushInterval: 0 });
  const reader = (await chat.post(chatBody("Hi"))).body?.getReader();
  let taken = 0;
  for (let part = await reader?.read(); part && !part.done; part = await reader?.read()) {
    taken += part.value.length;
    await delay(1);
    expect(sent - taken).toBeLessThanOrEqual(64 * 1024 + 100);
  }
  expect(taken).toBe(sent);
});

it("counts the first text as unread until the client reads it", async () => {
  let sent = 0;
  async function* speak() {
    for (const length of [60_000, ...Array.from({ length: 2_000 }, () => 100)]) {
      sent += length;
      yield chunk({ content: "x".repeat(length) }) as ChatCompletionChunk;
    }
  }
  const client = { chat: { completions: { create: async () => speak() } } };
  const chat = await startChat({ client, limits, flushInterval: 0 });
  const response = await chat.post(chatBody("Hi"));
  await delay(50);
  expect(sent).toBeLessThanOrEqual(64 * 1024 + 200);
  await response.body?.cancel();
});

it("waits for the stalled reader after the fast one disconnects", async () => {
  const chat = await startChat({ limits, script: answerWithBytes(64 * MiB) });
  const [stalled, fast] = await Promise.all([chat.post(chatBody("Hi")), chat.post(chatBody("Hi"))]);
  const reader = fast.body?.getReader();
  for (let length = 0; length < MiB; length += (await reader?.read())?.value?.length ?? 0);
  const call = await chat.model.call(0);
  await reader?.cancel();
  const written = await waitUntilBlocked(call);
  expect(written).toBeLessThan(24 * MiB);
  expect(call.disconnectedAt).toBeUndefined();
  await stalled.body?.cancel();
  await call.disconnected;
});

describe("a client with several pending reads", () => {
  const rows = [0, 1, 2, 3, 4].map((row) => ["a", "b", "c"].map((column) => `${column}${row} `));

  it("receives every text once and in order", async () => {
    const script: Script = async (call) => {
      for (const row of rows) await call.send(row.map(textEvent).join(""));
      await call.send(finishEvent() + doneEvent);
    };
    const chat = await startChat({ flushInterval: 0, script });
    const reader = (await chat.post(chatBody("Hi"))).body!.getReader();
    const parts: Uint8Array[] = [];
    const readAll = async () => {
      for (let part = await reader.read(); !part.done; part = await reader.read()) parts.push(part.value);
    };
    await Promise.all([readAll(), readAll()]);
    expect(Buffer.concat(parts).toString()).toBe(rows.flat().join(""));
  });

  it("receives the error right after the last text", async () => {
    const second = createGate();
    const script: Script = async (call) => {
      await call.send(textEvent("First"));
      await Promise.race([second.opened, call.closed]);
      await call.send(textEvent(" second"));
      await delay(5);
      call.cut();
    };
    const chat = await startChat({ script });
    const reader = (await chat.post(chatBody("Hi"))).body!.getReader();
    expect(Buffer.from((await reader.read()).value!).toString()).toBe("First");
    const reads = Promise.allSettled([reader.read(), reader.read()]);
    second.open();
    const [more, end] = await reads;
    expect(more.status === "fulfilled" && Buffer.from(more.value.value!).toString()).toBe(" second");
    expect(end.status).toBe("rejected");
  });
});

describe("flushInterval", () => {
  const tokens: Script = async (call) => {
    for (let token = 0; token < 40; token++) {
      await call.send(textEvent("x"));
      await delay(2);
    }
    await call.send(finishEvent() + doneEvent);
  };
  const writesWith = async (flushInterval: number) => {
    const chat = await startChat({ flushInterval, script: tokens });
    const response = await chat.post(chatBody("Hi"));
    let writes = 0;
    for await (const _ of response.body ?? []) writes++;
    return writes;
  };

  it("collects text within the interval, and sends every read at 0", async () => {
    // Even on a busy machine, where each token takes 50 ms, this is a handful of writes.
    expect(await writesWith(1_000)).toBeLessThan(8);
    expect(await writesWith(0)).toBeGreaterThan(20);
  });

  it("does not delay the first text or the end", async () => {
    const end = createGate();
    const chat = await startChat({ flushInterval: 60_000, script: answerAfter([Promise.resolve(), "First"], [end.opened, " and last."]) });
    const reader = (await chat.post(chatBody("Hi"))).body?.pipeThrough(new TextDecoderStream()).getReader();
    expect((await reader?.read())?.value).toBe("First");
    end.open();
    expect((await reader?.read())?.value).toBe(" and last.");
    expect((await reader?.read())?.done).toBe(true);
  });

  it("sends the collected text while the model pauses, each time", async () => {
    const [middle, end] = [createGate(), createGate()];
    const pieces: Parameters<typeof answerAfter> = [
      [Promise.resolve(), "A"],
      [Promise.resolve(), "B"],
      [middle.opened, "C"],
      [Promise.resolve(), "D"],
      [end.opened, "E"],
    ];
    const chat = await startChat({ script: answerAfter(...pieces) });
    const reader = (await chat.post(chatBody("Hi"))).body?.pipeThrough(new TextDecoderStream()).getReader();
    let got = "";
    while (got !== "AB") got += (await reader?.read())?.value ?? "";
    middle.open();
    while (got !== "ABCD") got += (await reader?.read())?.value ?? "";
    end.open();
    expect((await reader?.read())?.value).toBe("E");
  });

  it("sends the last text before the answer is stored", async () => {
    const held = createGate();
    const chat = await startChat({ flushInterval: 300, script: answerWith("First", " and last.") });
    chat.store.injectFaults(({ method, nth }) => (method === "appendMessages" && nth === 1 ? { before: held.opened } : undefined));
    const reader = (await chat.post(chatBody("Hi"))).body?.pipeThrough(new TextDecoderStream()).getReader();
    let got = "";
    while (got !== "First and last.") got += (await reader?.read())?.value ?? "";
    held.open();
    expect((await reader?.read())?.done).toBe(true);
  });

  it("does not delay 64 Ki characters", async () => {
    const chat = await startChat({
      flushInterval: 60_000,
      script: answerWith("First", ...Array.from({ length: 20 }, () => "x".repeat(10_000))),
    });
    expect((await readResponse(chat.post(chatBody("Hi")))).text).toHaveLength(200_005);
  });
});

/** Resolves to the bytes that a call has written when it cannot write more. */
async function waitUntilBlocked(call: ModelCall): Promise<number> {
  for (let written = -1; ;) {
    if (written === call.written) return written;
    written = call.written;
    await delay(60);
  }
}

async function measureMemory(): Promise<number> {
  for (let times = 0; times < 3; times++) {
    await delay(1);
    collectGarbage();
  }
  const { heapUsed, external, arrayBuffers } = process.memoryUsage();
  return heapUsed + external + arrayBuffers;
}
