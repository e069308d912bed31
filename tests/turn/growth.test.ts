/** Leaks: ten thousand turns, half of them aborted, leave no timer, listener, request or memory behind. */
import { getEventListeners } from "node:events";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import type { ChatCompletionChunk } from "openai/resources/chat/completions";
import { expect, test } from "vitest";
import { type ChatHandler, createChatHandler, createMemoryStore, type ModelClient } from "../../src/index.ts";
import { createGate } from "../support/model-scripts.ts";

setFlagsFromString("--expose-gc");
const collectGarbage = runInNewContext("gc") as () => void;

/** The kinds of turn: read to the end, or aborted at a stage. */
const ways = [
  "read",
  "disconnected before the handler starts",
  "read",
  "disconnected before the model answers",
  "read",
  "cancelled after the first text",
  "joined, and one of two disconnected",
  "aborted after the first text",
  "never read",
  "disconnected in the queue",
] as const;

type Way = (typeof ways)[number];

const modelFor: Partial<Record<Way, string>> = {
  "disconnected before the model answers": "silent",
  "cancelled after the first text": "slow",
  "aborted after the first text": "slow",
  "joined, and one of two disconnected": "slow",
  "disconnected in the queue": "slow",
};

const words = Array.from({ length: 8 }, (_, index) => `word ${index} `);
const chunk = (content: string | null, finish_reason: "stop" | null = null): ChatCompletionChunk => ({
  id: "c",
  object: "chat.completion.chunk",
  created: 0,
  model: "m",
  choices: [{ index: 0, delta: { content }, finish_reason }],
});
const chunks = [...words.map((word) => chunk(word)), chunk(null, "stop")];
const events = [...chunks.map((chunk) => JSON.stringify(chunk)), "[DONE]"].map((data) => new TextEncoder().encode(`data: ${data}\n\n`));

const resolveSoon = () => new Promise((resolve) => setImmediate(resolve));

/** A model client that alternates between raw responses and iterables. The model name chooses whether it is silent or slow. */
function createClient(): ModelClient {
  let calls = 0;
  const silence = (signal: AbortSignal) =>
    new Promise<never>((_, reject) => signal.addEventListener("abort", () => reject(signal.reason), { once: true }));
  const respond = async (isSlow: boolean) => {
    let next = 0;
    const pull = async (controller: ReadableStreamDefaultController<Uint8Array>) => {
      if (isSlow) await resolveSoon();
      const event = events[next++];
      if (event) controller.enqueue(event);
      else controller.close();
    };
    return new Response(new ReadableStream({ pull }, { highWaterMark: 0 }));
  };
  const iterate = async function* (isSlow: boolean) {
    for (const chunk of chunks) {
      if (isSlow) await resolveSoon();
      yield chunk;
    }
  };
  return {
    chat: {
      completions: {
        create({ model }, { signal }) {
          const isSilent = model === "silent";
          const isSlow = model === "slow";
          if (calls++ % 2 === 0) return isSilent ? silence(signal) : Promise.resolve(iterate(isSlow));
          const asResponse = () => (isSilent ? silence(signal) : respond(isSlow));
          return Object.assign(new Promise<never>(() => {}), { asResponse });
        },
      },
    },
  };
}

/** Milliseconds for which an answer that nobody reads is kept. */
const readTimeout = 20;

test("10,000 turns, half of them aborted, leave nothing behind", { timeout: 120_000 }, async () => {
  const store = createMemoryStore({ maxThreads: 40 });
  const outcomes = new Map<string, number>();
  let turns: Promise<void>[] = [];
  const handler = createChatHandler({
    store,
    client: createClient(),
    model: ({ prompt }) => modelFor[prompt.content as Way] ?? "quick",
    onError: () => {},
    onTurnEnd: ({ status }) => void outcomes.set(status, (outcomes.get(status) ?? 0) + 1),
    waitUntil: (turn) => void turns.push(turn),
    timeouts: { read: readTimeout },
  });
  /** Like servers that abort a request's signal only when it closes. */
  const shared = new AbortController();
  const requests: WeakRef<Request>[] = [];
  const seen = new Set<string>();
  let number = 0;

  const play = async (count: number) => {
    for (let played = 0; played < count; played++) {
      const way = ways[number % ways.length]!;
      const result = await playTurn(way, handler, `t${number++}`, shared.signal, (request) => {
        if (played % 37 === 0) requests.push(new WeakRef(request));
      });
      seen.add([way, result].join(": "));
      if (turns.length < 100) continue;
      await Promise.all(turns);
      turns = [];
    }
    await Promise.all(turns);
    turns = [];
  };

  await play(1200);
  const before = await measure();
  outcomes.clear();
  await play(10_000);
  const after = await measure();

  expect([...seen].sort()).toEqual(
    [
      `read: ${words.join("")}`,
      "disconnected before the handler starts: 499",
      "disconnected before the model answers: 499",
      "cancelled after the first text: ",
      `joined, and one of two disconnected: ${words.join("")}`,
      "aborted after the first text: ",
      "never read: 200",
      "disconnected in the queue: 499",
    ].sort(),
  );
  expect(outcomes.get("complete")).toBeGreaterThan(4000);
  expect(outcomes.get("stopped")).toBeGreaterThan(4000);
  expect(after.timers).toBe(before.timers);
  expect(getEventListeners(shared.signal, "abort")).toEqual([]);
  expect(requests.filter((request) => request.deref())).toEqual([]);
  expect((await store.listThreads("", { limit: 100 })).threads).toHaveLength(40);
  // 50 bytes per turn would be half a megabyte.
  expect(after.heap - before.heap).toBeLessThan(500_000);
});

test.each(["a raw response", "an iterable"])("a slow answer does not keep the history in memory (%s)", async (kind) => {
  const threads: WeakRef<object>[] = [];
  const sent: WeakRef<object>[] = [];
  const end = createGate();
  async function* slowly<T>(parts: readonly T[]) {
    yield parts[0]!;
    await end.opened;
    yield parts[chunks.length - 1]!;
  }
  const respond = async () => {
    const parts = slowly(events);
    const pull = async (controller: ReadableStreamDefaultController<Uint8Array>) => {
      const { done, value } = await parts.next();
      if (done) controller.close();
      else controller.enqueue(value);
    };
    return new Response(new ReadableStream({ pull }));
  };
  const client: ModelClient = {
    chat: {
      completions: {
        create({ messages }) {
          sent.push(new WeakRef(messages));
          if (kind === "an iterable") return Promise.resolve(slowly(chunks));
          return Object.assign(new Promise<never>(() => {}), { asResponse: respond });
        },
      },
    },
  };
  const memory = createMemoryStore();
  const store = {
    ...memory,
    async listMessages(...args: Parameters<typeof memory.listMessages>) {
      const stored = await memory.listMessages(...args);
      if (stored[0]) threads.push(new WeakRef(stored[0]));
      return stored;
    },
  };
  const thread = { owner: "", threadId: "t" };
  await store.appendMessages(thread, [
    { id: "p0", promptId: "p0", message: { role: "user", content: "before" }, status: "complete", createdAt: 0 },
    { id: "r0", promptId: "p0", message: { role: "assistant", content: "too" }, status: "complete", createdAt: 0 },
  ]);
  const handler = createChatHandler({ store, client, model: "m" });
  const body = JSON.stringify({ prompt: { id: "p1", role: "user", content: "now" }, threadId: "t", responseId: "r1" });
  const response = await handler(
    new Request("http://chat.test/", { method: "POST", headers: { "Content-Type": "application/json" }, body }),
  );
  const reader = response.body!.getReader();
  expect(new TextDecoder().decode((await reader.read()).value)).toBe(words[0]);
  await measure();
  expect([threads.length, sent.length]).toEqual([1, 1]);
  expect([...threads, ...sent].filter((reference) => reference.deref())).toEqual([]);
  end.open();
  expect((await reader.read()).done).toBe(true);
});

/** Plays one turn in a new thread. Resolves to the response that a remaining client received. */
async function playTurn(way: Way, handler: ChatHandler, threadId: string, shared: AbortSignal, onRequest: (request: Request) => void) {
  const send = (aborter?: AbortController, n = 0) => {
    const request = new Request("http://chat.test/", {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ prompt: { id: `p${n}`, role: "user", content: way }, threadId, responseId: `r${n}` }),
      ...(aborter && { signal: aborter.signal }),
    });
    if (!aborter) Object.defineProperty(request, "signal", { value: shared });
    onRequest(request);
    return handler(request);
  };
  const aborter = new AbortController();

  switch (way) {
    case "read":
      return (await send()).text();
    case "disconnected before the handler starts":
      aborter.abort();
      return (await send(aborter)).status;
    case "disconnected before the model answers": {
      const response = send(aborter);
      await resolveSoon();
      aborter.abort();
      return (await response).status;
    }
    case "cancelled after the first text": {
      const reader = (await send()).body!.getReader();
      await reader.read();
      return reader.cancel();
    }
    case "aborted after the first text": {
      const reader = (await send(aborter)).body!.getReader();
      await reader.read();
      aborter.abort();
      return reader.cancel().catch(() => {});
    }
    case "disconnected in the queue": {
      const first = send();
      const second = send(aborter, 1);
      await resolveSoon();
      aborter.abort();
      await (await first).body?.cancel();
      return (await second).status;
    }
    case "joined, and one of two disconnected": {
      const [first, second] = await Promise.all([send(aborter), send()]);
      aborter.abort();
      const text = await second.text();
      await first.body?.cancel().catch(() => {});
      return text;
    }
    case "never read":
      return (await send()).status;
  }
}

/** Active timers, and used heap in bytes after a garbage collection. */
async function measure(): Promise<{ timers: number; heap: number }> {
  await new Promise((resolve) => setTimeout(resolve, 5 * readTimeout));
  for (let times = 0; times < 3; times++) {
    await new Promise((resolve) => setTimeout(resolve, 10));
    collectGarbage();
  }
  return { timers: process.getActiveResourcesInfo().filter((name) => name === "Timeout").length, heap: process.memoryUsage().heapUsed };
}
