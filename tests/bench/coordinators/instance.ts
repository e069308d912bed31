/** One instance of an app: runs turns, or follows those of another instance. A process of its own, so that its CPU is measured alone. */
import { setTimeout as sleep } from "node:timers/promises";
import OpenAI from "openai";
import { type ChatHandler, createChatHandler, createMemoryStore } from "../../../src/index.ts";
import { answerParent, collectGarbage, cpuTime } from "../child.ts";
import { median, quantile } from "../statistics.ts";
import { lastEvents, model, tokenEvent } from "../workload.ts";
import { createCoordinator, now } from "./connect.ts";
import { connectPeer, type Kind } from "./peers.ts";

/** The requests of the parent. */
export type InstanceQuestion =
  /** Runs turns whose model speaks at a pace. Resolves to what they cost. */
  | { kind: "run"; ids: string[]; tokens: number; interval: number }
  /** Runs turns whose model pauses in the middle. Resolves to the bytes in use for each open stream meanwhile, the mean of some moments. */
  | { kind: "memory"; ids: string[] }
  /** Follows the turns with these ids, from their beginning to their end. Resolves to the delay of text. */
  | { kind: "follow"; ids: string[] }
  /**
   * Runs the turns of threads, one after the other thread: `first/thread` at once, and `next/thread` while the first runs. Resolves to when each called
   * its model and ended, by the wall clock.
   */
  | { kind: "queue"; ids: string[] }
  /** Stops turns of another instance that speak for ever. Resolves to the times of the calls. */
  | { kind: "stop"; ids: string[] }
  /** Runs turns that speak until they are stopped. Resolves to when each model call was closed, by the wall clock. */
  | { kind: "runForever"; ids: string[] }
  | { kind: "closings" };

export interface RunResult {
  /** Microseconds of CPU for each token. */
  cpu: number;
  seconds: number;
  firstText: { median: number; p95: number };
  /** Milliseconds from the model's write to the local reader. */
  delay: { median: number; p95: number };
}

const [kindName = "none", url = ""] = process.argv.slice(2);
const kind = kindName as Kind;

/** When a turn called its model, and when its response ended. */
export interface QueueTimes {
  called: [string, number][];
  ended: [string, number][];
}

// Node keeps four megabytes of its TypeScript loader until a later collection, which would come in the middle of a run.
globalThis.gc?.({ type: "major", execution: "sync", flavor: "last-resort" });

let pace = { tokens: 0, interval: 0 };
/** After how many tokens the model waits, and for what. */
let pause = { after: Infinity, end: Promise.resolve() };
const called = new Map<string, number>();
const closed = new Map<string, number>();

/** A model in memory: each token is the time at which it was sent. */
async function speak(_input: unknown, init?: RequestInit): Promise<Response> {
  const { tokens, interval } = pace;
  // The last one: an earlier turn of the thread may be in the history.
  const prompt = String(/.*"content":"id:([^"]*)"/s.exec(typeof init?.body === "string" ? init.body : "")?.[1]);
  called.set(prompt, now());
  const encoder = new TextEncoder();
  let sent = 0;
  let isClosed = false;
  init?.signal?.addEventListener("abort", () => {
    isClosed = true;
    closed.set(prompt, now());
  });
  const body = new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        await sleep(interval);
        if (sent === pause.after) await pause.end;
        if (isClosed) return;
        if (sent++ < tokens) controller.enqueue(encoder.encode(tokenEvent(`@${now()};`)));
        else {
          controller.enqueue(encoder.encode(lastEvents));
          controller.close();
        }
      },
    },
    { highWaterMark: 0 },
  );
  return new Response(body, { headers: { "Content-Type": "text/event-stream" } });
}

const peer = await connectPeer(kind, url);
const store = createMemoryStore();
const chat: ChatHandler = createChatHandler({
  client: new OpenAI({ apiKey: "bench", baseURL: "http://bench.invalid/v1", fetch: speak, maxRetries: 0 }),
  model,
  store,
  coordinator: createCoordinator(kind, url),
});

/** `name/thread` names a turn of a thread; any other id is a thread of its own. */
const keyOf = (id: string) => ({ threadId: `t${id.split("/").at(-1)}`, responseId: `r${id}` });

const bodyOf = (id: string): string => JSON.stringify({ prompt: { id: `p${id}`, role: "user", content: `id:${id}` }, ...keyOf(id) });

async function start(id: string): Promise<ReadableStream<Uint8Array>> {
  const headers = { "Content-Type": "application/json" };
  const response = await chat(new Request("http://bench.invalid/", { method: "POST", headers, body: bodyOf(id) }));
  if (!response.ok || !response.body) throw new Error(`${kind} responded with ${response.status}: ${await response.text()}`);
  const { body } = response;
  if (!peer) return body;
  if (peer.chunks === "bytes") return peer.publish(id, () => body);
  const resumable = await peer.publish(id, () => body.pipeThrough(new TextDecoderStream()));
  return resumable.pipeThrough(new TextEncoderStream());
}

async function follow(id: string): Promise<ReadableStream<Uint8Array>> {
  for (let tries = 0; tries < 500; tries++) {
    if (peer) {
      const found = await peer.follow(id, 0);
      if (found) return peer.chunks === "bytes" ? found.stream : found.stream.pipeThrough(new TextEncoderStream());
    } else {
      const response = await chat.resume(new Request(`http://bench.invalid/?threadId=t${id}&responseId=r${id}`));
      if (response.status === 200 && response.body) return response.body;
    }
    await sleep(10);
  }
  throw new Error(`There is nothing to follow for ${id}.`);
}

/** Reads to the end. `onToken` receives the time at which a token was sent. Returns how many there were. */
async function read(body: ReadableStream<Uint8Array>, onToken: (sentAt: number) => void): Promise<number> {
  const reader = body.getReader();
  const decoder = new TextDecoder();
  let rest = "";
  let count = 0;
  for (let next = await reader.read(); !next.done; next = await reader.read()) {
    const parts = (rest + decoder.decode(next.value, { stream: true })).split(";");
    rest = parts.pop() ?? "";
    for (const part of parts) onToken(Number(part.slice(1)));
    count += parts.length;
  }
  return count;
}

const summary = (values: readonly number[]) => ({ median: median(values), p95: quantile(values, 0.95) });

/**
 * Bytes in use at a random moment. It is not the one right after a collection: that pauses the process, so all that was due meanwhile is under way then,
 * which otherwise lasts a moment of each poll.
 */
async function memoryInUse(): Promise<number> {
  await collectGarbage();
  await sleep(20 + Math.random() * 200);
  globalThis.gc?.();
  return process.memoryUsage().heapUsed;
}

async function run({ ids, tokens, interval }: Extract<InstanceQuestion, { kind: "run" }>): Promise<RunResult> {
  pace = { tokens, interval };
  await collectGarbage();
  const startedAt = performance.now();
  const cpu = cpuTime();
  const first: number[] = [];
  const delays: number[] = [];
  const streams = ids.map(async (id, index) => {
    // Spread over a second: real users do not come at once.
    await sleep((index * 1000) / ids.length);
    const sentAt = performance.now();
    const body = await start(id);
    first.push(performance.now() - sentAt - interval);
    const count = await read(body, (time) => delays.push((now() - time) / 1000));
    if (count !== tokens) throw new Error(`${kind} sent ${count} of ${tokens} tokens.`);
  });
  await Promise.all(streams);
  const used = cpuTime() - cpu;
  return {
    cpu: used / (tokens * ids.length),
    seconds: (performance.now() - startedAt) / 1000,
    firstText: summary(first),
    delay: summary(delays),
  };
}

async function measureMemory(ids: string[]): Promise<number> {
  pace = { tokens: 60, interval: 100 };
  const paused = Promise.withResolvers<void>();
  pause = { after: 40, end: paused.promise };
  const before = await memoryInUse();
  const streams = ids.map(async (id) => read(await start(id), () => {}));
  await sleep(6500);
  let sum = 0;
  for (let moment = 0; moment < 12; moment++) {
    await sleep(50 + Math.random() * 200);
    sum += await memoryInUse();
  }
  paused.resolve();
  await Promise.all(streams);
  return (sum / 12 - before) / ids.length;
}

/** Runs turns of threads, each thread a little later than the one before. */
async function queue(ids: string[]): Promise<QueueTimes> {
  pace = { tokens: 5, interval: 30 };
  called.clear();
  const ended: [string, number][] = [];
  const threads = [...new Set(ids.map((id) => keyOf(id).threadId))];
  // The instances do not share a store, and a turn behind others fails if it finds no thread.
  for (const threadId of threads) {
    const [id, createdAt] = [`before ${threadId}`, Date.now()];
    const message = { role: "user" as const, content: "Hi" };
    await store.appendMessages({ owner: "", threadId }, [{ id, promptId: id, message, status: "complete", createdAt }], { title: "Hi" });
  }
  await Promise.all(
    ids.map(async (id) => {
      await sleep(threads.indexOf(keyOf(id).threadId) * 20 + (id.startsWith("next") ? 60 : 0));
      await read(await start(id), () => {});
      ended.push([id, now()]);
    }),
  );
  return { called: [...called], ended };
}

answerParent(async (question: InstanceQuestion): Promise<unknown> => {
  switch (question.kind) {
    case "run":
      return run(question);
    case "memory":
      return measureMemory(question.ids);
    case "follow": {
      const delays: number[] = [];
      const cpu = cpuTime();
      const counts = await Promise.all(
        question.ids.map(async (id, index) => {
          // Each comes a little later than its turn, which begins within a second.
          await sleep(200 + (index * 1000) / question.ids.length);
          return read(await follow(id), (time) => delays.push((now() - time) / 1000));
        }),
      );
      const tokens = counts.reduce((sum, count) => sum + count, 0);
      // The beginning is read at once: what was said before the follower came is no delay.
      return { delay: summary(delays.slice(Math.floor(delays.length / 4))), tokens, cpu: (cpuTime() - cpu) / tokens };
    }
    case "queue":
      return queue(question.ids);
    case "runForever": {
      pace = { tokens: Number.MAX_SAFE_INTEGER, interval: 20 };
      const bodies = await Promise.all(question.ids.map(start));
      void Promise.allSettled(bodies.map((body) => read(body, () => {})));
      return undefined;
    }
    case "stop": {
      const sent: [string, number][] = [];
      for (const id of question.ids) {
        const headers = { "Content-Type": "application/json" };
        const body = JSON.stringify(keyOf(id));
        sent.push([id, now()]);
        const response = await chat.stop(new Request("http://bench.invalid/", { method: "POST", headers, body }));
        if (response.status !== 204) throw new Error(`A stop returned ${response.status}.`);
      }
      return sent;
    }
    case "closings":
      return [...closed];
  }
});
