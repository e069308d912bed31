/** The client's pace is the model's: nothing piles up in between. */
import { setTimeout as delay } from "node:timers/promises";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import type { ChatCompletionChunk } from "openai/resources/chat/completions";
import { describe, expect, it } from "vitest";
import { ask, read, startChat, ways } from "../support/chat.ts";
import { watchForFloatingErrors } from "../support/floating.ts";
import type { ModelCall, Script } from "../support/model-server.ts";
import { chunk, done, finish, gate, says, saysAfter, text } from "../support/scripts.ts";

watchForFloatingErrors();

setFlagsFromString("--expose-gc");
const collectGarbage = runInNewContext("gc") as () => void;

const MiB = 1024 * 1024;
const limits = { answerCharacters: 100 * MiB };
const delta = "0123456789abcdef".repeat(1024);

/** An answer of so many bytes. */
const saysMuch =
  (bytes: number): Script =>
  async (call) => {
    for (let sent = 0; sent < bytes && call.leftAt === undefined; sent += delta.length) await call.send(text(delta));
    await call.send(finish() + done);
  };

describe.each(ways)("$name", ({ way }) => {
  it("holds the model back while the client does not read, and lets go of it when the client leaves", async () => {
    // Once before, so that what is loaded and compiled at the first turn does not count.
    await read((await startChat(way)).post(ask("Hi")));
    const before = await occupied();
    const chat = await startChat({ ...way, limits, script: saysMuch(64 * MiB) });
    const response = await chat.post(ask("Hi"));
    const reader = response.body?.getReader();
    expect((await reader?.read())?.value?.length).toBeGreaterThan(0);
    const call = await chat.model.call(0);
    const written = await standsStill(call);
    // What is on its way: the sockets' own buffers, which the kernel grows to a few MB each, and 64 KiB of ours.
    expect(written).toBeLessThan(24 * MiB);
    // The text that is under way to the client has to be kept until it is stored; the rest is small.
    expect((await occupied()) - before).toBeLessThan(12 * MiB);
    // A second look after more time: held back means standing still.
    await delay(50);
    expect(call.written).toBe(written);
    await reader?.cancel();
    await call.left;
    await chat.settled();
    expect((await chat.stored()).map(({ id, status }) => `${id} ${status}`)).toEqual(["p1 complete", "r1 stopped"]);
  });

  it("goes on where it stood when the client reads again", async () => {
    const size = 8 * MiB;
    const chat = await startChat({ ...way, limits, script: saysMuch(size) });
    const reader = (await chat.post(ask("Hi"))).body?.getReader();
    const first = await reader?.read();
    await standsStill(await chat.model.call(0));
    let length = first?.value?.length ?? 0;
    for (let part = await reader?.read(); part && !part.done; part = await reader?.read()) length += part.value.length;
    expect(length).toBe(size);
    await chat.settled();
    expect((await chat.stored())[1]).toMatchObject({ status: "complete", message: { content: delta.repeat(size / delta.length) } });
  });

  it("expects nothing of the model while it holds it back", async () => {
    const size = 8 * MiB;
    const chat = await startChat({ ...way, limits, script: saysMuch(size), timeouts: { firstChunk: 500, idle: 500 } });
    const response = await chat.post(ask("Hi"));
    const call = await chat.model.call(0);
    await standsStill(call);
    await delay(1200);
    expect(call.leftAt).toBeUndefined();
    const { text, failed } = await read(response);
    expect({ length: text.length, failed }).toEqual({ length: size, failed: false });
  });

  it("stores a short answer that its client never reads", async () => {
    const chat = await startChat(way);
    const response = await chat.post(ask("Hi"));
    await chat.settled();
    expect((await chat.stored())[1]).toMatchObject({ id: "r1", status: "complete", message: { content: "Answer to Hi." } });
    expect((await read(response)).text).toBe("Answer to Hi.");
  });

  it("ends a long answer that its client never reads when the turn has taken too long", async () => {
    const chat = await startChat({ ...way, limits, script: saysMuch(64 * MiB), timeouts: { turn: 600 } });
    const response = await chat.post(ask("Hi"));
    const call = await chat.model.call(0);
    await call.left;
    await chat.settled();
    expect(chat.errors).toMatchObject([{ code: "turn_timeout", status: 504 }]);
    expect((await chat.stored()).map(({ id, status }) => `${id} ${status}`)).toEqual(["p1 complete", "r1 failed"]);
    expect((await read(response)).failed).toBe(true);
    const patient = await startChat({ over: chat });
    expect((await read(patient.post(ask("Hi")))).text).toBe("Answer to Hi.");
  });

  it("shows the first text at once, and later text while the model is still speaking", async () => {
    const [second, end] = [gate(), gate()];
    const chat = await startChat({
      ...way,
      script: saysAfter([Promise.resolve(), "First"], [second.opened, " second"], [end.opened, "."]),
    });
    const response = await chat.post(ask("Hi"));
    const reader = response.body?.pipeThrough(new TextDecoderStream()).getReader();
    expect((await reader?.read())?.value).toBe("First");
    second.open();
    expect((await reader?.read())?.value).toBe(" second");
    end.open();
    expect((await reader?.read())?.value).toBe(".");
    expect((await reader?.read())?.done).toBe(true);
  });
});

it("goes at the pace of its fastest reader; a stalled one that joined holds nobody back", async () => {
  const size = 4 * MiB;
  const chat = await startChat({ limits, script: saysMuch(size) });
  const [stalled, fast] = await Promise.all([chat.post(ask("Hi")), chat.post(ask("Hi"))]);
  const seen = await read(fast);
  expect({ length: seen.text.length, failed: seen.failed }).toEqual({ length: size, failed: false });
  // And it still gets all of it, whenever it reads.
  expect((await read(stalled)).text.length).toBe(size);
});

it("runs no further ahead of a client that reads little by little than of one that does not read", async () => {
  let said = 0;
  async function* speak() {
    for (; said < 4 * MiB; said += 100) yield chunk({ content: "x".repeat(100) }) as ChatCompletionChunk;
    yield chunk({}, "stop") as ChatCompletionChunk;
  }
  const client = { chat: { completions: { create: async () => speak() } } };
  const chat = await startChat({ client, limits, flushInterval: 0 });
  const reader = (await chat.post(ask("Hi"))).body?.getReader();
  let taken = 0;
  for (let part = await reader?.read(); part && !part.done; part = await reader?.read()) {
    taken += part.value.length;
    await delay(1);
    expect(said - taken).toBeLessThanOrEqual(64 * 1024 + 100);
  }
  expect(taken).toBe(said);
});

it("counts the first text as unread until its client takes it", async () => {
  let said = 0;
  async function* speak() {
    for (const length of [60_000, ...Array.from({ length: 2_000 }, () => 100)]) {
      said += length;
      yield chunk({ content: "x".repeat(length) }) as ChatCompletionChunk;
    }
  }
  const client = { chat: { completions: { create: async () => speak() } } };
  const chat = await startChat({ client, limits, flushInterval: 0 });
  const response = await chat.post(ask("Hi"));
  await delay(50);
  expect(said).toBeLessThanOrEqual(64 * 1024 + 200);
  await response.body?.cancel();
});

it("waits for the stalled reader when the fast one has left", async () => {
  const chat = await startChat({ limits, script: saysMuch(64 * MiB) });
  const [stalled, fast] = await Promise.all([chat.post(ask("Hi")), chat.post(ask("Hi"))]);
  const reader = fast.body?.getReader();
  for (let length = 0; length < MiB; length += (await reader?.read())?.value?.length ?? 0);
  const call = await chat.model.call(0);
  await reader?.cancel();
  const written = await standsStill(call);
  expect(written).toBeLessThan(24 * MiB);
  expect(call.leftAt).toBeUndefined();
  await stalled.body?.cancel();
  await call.left;
});

describe("a client that asks for more before it has what it asked for", () => {
  const rows = [0, 1, 2, 3, 4].map((row) => ["a", "b", "c"].map((column) => `${column}${row} `));

  it("gets every text once and in order", async () => {
    const script: Script = async (call) => {
      for (const row of rows) await call.send(row.map(text).join(""));
      await call.send(finish() + done);
    };
    const chat = await startChat({ flushInterval: 0, script });
    const reader = (await chat.post(ask("Hi"))).body!.getReader();
    const parts: Uint8Array[] = [];
    const readAll = async () => {
      for (let part = await reader.read(); !part.done; part = await reader.read()) parts.push(part.value);
    };
    await Promise.all([readAll(), readAll()]);
    expect(Buffer.concat(parts).toString()).toBe(rows.flat().join(""));
  });

  it("hears that the answer broke off, right after its last text", async () => {
    const second = gate();
    const script: Script = async (call) => {
      await call.send(text("First"));
      await Promise.race([second.opened, call.closed]);
      await call.send(text(" second"));
      await delay(5);
      call.cut();
    };
    const chat = await startChat({ script });
    const reader = (await chat.post(ask("Hi"))).body!.getReader();
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
      await call.send(text("x"));
      await delay(2);
    }
    await call.send(finish() + done);
  };
  const writesWith = async (flushInterval: number) => {
    const chat = await startChat({ flushInterval, script: tokens });
    const response = await chat.post(ask("Hi"));
    let writes = 0;
    for await (const _ of response.body ?? []) writes++;
    return writes;
  };

  it("gathers text that follows soon after, and sends every read by itself at 0", async () => {
    const [gathered, single] = [await writesWith(30), await writesWith(0)];
    expect(gathered).toBeLessThan(single / 3);
    expect(single).toBeGreaterThan(30);
  });

  it("delays neither the first text nor the end, however long it is", async () => {
    const end = gate();
    const chat = await startChat({ flushInterval: 60_000, script: saysAfter([Promise.resolve(), "First"], [end.opened, " and last."]) });
    const reader = (await chat.post(ask("Hi"))).body?.pipeThrough(new TextDecoderStream()).getReader();
    expect((await reader?.read())?.value).toBe("First");
    end.open();
    expect((await reader?.read())?.value).toBe(" and last.");
    expect((await reader?.read())?.done).toBe(true);
  });

  it("shows what is gathered also while the model says nothing more, time after time", async () => {
    const [middle, end] = [gate(), gate()];
    const pieces: Parameters<typeof saysAfter> = [
      [Promise.resolve(), "A"],
      [Promise.resolve(), "B"],
      [middle.opened, "C"],
      [Promise.resolve(), "D"],
      [end.opened, "E"],
    ];
    const chat = await startChat({ script: saysAfter(...pieces) });
    const reader = (await chat.post(ask("Hi"))).body?.pipeThrough(new TextDecoderStream()).getReader();
    let got = "";
    while (got !== "AB") got += (await reader?.read())?.value ?? "";
    middle.open();
    while (got !== "ABCD") got += (await reader?.read())?.value ?? "";
    end.open();
    expect((await reader?.read())?.value).toBe("E");
  });

  it("shows the last text before the answer is stored", async () => {
    const held = gate();
    const chat = await startChat({ flushInterval: 300, script: says("First", " and last.") });
    chat.store.plan(({ method, nth }) => (method === "appendMessages" && nth === 1 ? { before: held.opened } : undefined));
    const reader = (await chat.post(ask("Hi"))).body?.pipeThrough(new TextDecoderStream()).getReader();
    let got = "";
    while (got !== "First and last.") got += (await reader?.read())?.value ?? "";
    held.open();
    expect((await reader?.read())?.done).toBe(true);
  });

  it("holds back no more text than is worth a write of its own", async () => {
    const chat = await startChat({ flushInterval: 60_000, script: says("First", ...Array.from({ length: 20 }, () => "x".repeat(10_000))) });
    expect((await read(chat.post(ask("Hi")))).text).toHaveLength(200_005);
  });
});

/** Bytes that a call could write when it can write no more. */
async function standsStill(call: ModelCall): Promise<number> {
  for (let written = -1; ;) {
    if (written === call.written) return written;
    written = call.written;
    await delay(60);
  }
}

async function occupied(): Promise<number> {
  for (let times = 0; times < 3; times++) {
    await delay(1);
    collectGarbage();
  }
  const { heapUsed, external, arrayBuffers } = process.memoryUsage();
  return heapUsed + external + arrayBuffers;
}
