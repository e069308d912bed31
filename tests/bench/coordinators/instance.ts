/** One instance of an app: runs turns, or follows those of another instance. A process of its own, so that its CPU is measured alone. */
import { setTimeout as sleep } from "node:timers/promises";
import { Redis } from "ioredis";
import OpenAI from "openai";
import { Pool } from "pg";
import {
  type ChatHandler,
  type ChatHandlerOptions,
  createChatHandler,
  createMemoryStore,
  type SharedCoordinator,
} from "../../../src/index.ts";
import { createPostgresCoordinator } from "../../../src/postgres.ts";
import { createRedisCoordinator } from "../../../src/redis.ts";
import { answerParent, collectGarbage, cpuTime } from "../child.ts";
import { median, quantile } from "../statistics.ts";
import { lastEvents, model, tokenEvent } from "../workload.ts";

/** What coordinates the turns. */
export type Kind = "none" | "redis" | "redis-polled" | "postgres" | "resumable-stream";

/** The requests of the parent. */
export type InstanceQuestion =
  /**
   * Runs turns whose model speaks at a pace; `interval` 0 is as fast as it can. It waits for `hold` milliseconds after its first token, so that
   * followers can come. Resolves to what they cost.
   */
  | { kind: "run"; ids: string[]; tokens: number; interval: number; hold: number }
  /** Follows the turns with these ids, `times` times each, from their beginning to their end. Resolves to the delay of text. */
  | { kind: "follow"; ids: string[]; times: number; isFast: boolean }
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
  /** Bytes in use for each open stream, in the middle of the run. */
  memory: number;
}

const [kindName = "none", url = ""] = process.argv.slice(2);
const kind = kindName as Kind;

/** Wall-clock microseconds, the same for all processes. */
const now = (): number => Number(process.hrtime.bigint() / 1000n);

function createCoordinator(): SharedCoordinator | undefined {
  if (kind === "redis") return createRedisCoordinator(new Redis(url), { subscriber: new Redis(url) });
  if (kind === "redis-polled") return createRedisCoordinator(new Redis(url));
  if (kind === "postgres") return createPostgresCoordinator(new Pool({ connectionString: url, max: 10 }), { migrate: true });
  return undefined;
}

let pace = { tokens: 0, interval: 0, hold: 0 };
const closed = new Map<string, number>();

/** A model in memory: each token is the time at which it was sent. */
async function speak(_input: unknown, init?: RequestInit): Promise<Response> {
  const { tokens, interval, hold } = pace;
  const prompt = String(/"content":"id:([^"]*)"/.exec(typeof init?.body === "string" ? init.body : "")?.[1]);
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
        if (interval > 0) await sleep(interval);
        if (sent === 1 && hold > 0) await sleep(hold);
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

const options: ChatHandlerOptions = {
  client: new OpenAI({ apiKey: "bench", baseURL: "http://bench.invalid/v1", fetch: speak, maxRetries: 0 }),
  model,
  store: createMemoryStore(),
  coordinator: createCoordinator(),
  limits: { answerCharacters: 10_000_000 },
};
const chat: ChatHandler = createChatHandler(options);
/** Writes each read of the model by itself, as most routes do. Otherwise the flush interval would be what is measured. */
const fastChat: ChatHandler = createChatHandler({ ...options, flushInterval: 0 });

/** The used part of resumable-stream, which is installed with `npm install --prefix tests/services`. */
interface ResumableStream {
  createResumableStreamContext(options: { waitUntil: null; publisher: Redis; subscriber: Redis }): {
    createNewResumableStream(id: string, makeStream: () => ReadableStream<string>): Promise<ReadableStream<string> | null>;
    resumeExistingStream(id: string): Promise<ReadableStream<string> | null | undefined>;
  };
}

const resumableStream = new URL("../../services/node_modules/resumable-stream/dist/ioredis.js", import.meta.url).href;
const context =
  kind === "resumable-stream"
    ? ((await import(resumableStream)) as ResumableStream).createResumableStreamContext({
        waitUntil: null,
        publisher: new Redis(url),
        subscriber: new Redis(url),
      })
    : undefined;

const bodyOf = (id: string): string =>
  JSON.stringify({ prompt: { id: `p${id}`, role: "user", content: `id:${id}` }, threadId: `t${id}`, responseId: `r${id}` });

async function start(id: string): Promise<ReadableStream<Uint8Array>> {
  const headers = { "Content-Type": "application/json" };
  const response = await (pace.interval > 0 ? chat : fastChat)(
    new Request("http://bench.invalid/", { method: "POST", headers, body: bodyOf(id) }),
  );
  if (!response.ok || !response.body) throw new Error(`${kind} responded with ${response.status}: ${await response.text()}`);
  const { body } = response;
  if (!context) return body;
  const text = () => body.pipeThrough(new TextDecoderStream());
  const resumable = await context.createNewResumableStream(id, text);
  if (!resumable) throw new Error("The stream exists already.");
  return resumable.pipeThrough(new TextEncoderStream());
}

async function follow(id: string, isFast: boolean): Promise<ReadableStream<Uint8Array>> {
  for (let tries = 0; tries < 500; tries++) {
    if (context) {
      const stream = await context.resumeExistingStream(id);
      if (stream) return stream.pipeThrough(new TextEncoderStream());
    } else {
      const response = await (isFast ? fastChat : chat).resume(new Request(`http://bench.invalid/?threadId=t${id}&responseId=r${id}`));
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

async function run({ ids, tokens, interval, hold }: Extract<InstanceQuestion, { kind: "run" }>): Promise<RunResult> {
  pace = { tokens, interval, hold };
  await collectGarbage();
  const before = process.memoryUsage().heapUsed;
  const startedAt = performance.now();
  const cpu = cpuTime();
  const first: number[] = [];
  const delays: number[] = [];
  const streams = ids.map(async (id, index) => {
    // Spread over a second: real users do not come at once.
    if (interval > 0) await sleep((index * 1000) / ids.length);
    const sentAt = performance.now();
    const body = await start(id);
    first.push(performance.now() - sentAt - interval);
    const count = await read(body, (time) => delays.push((now() - time) / 1000));
    if (count !== tokens) throw new Error(`${kind} sent ${count} of ${tokens} tokens.`);
  });
  let memory = 0;
  if (interval > 0) {
    await sleep((tokens * interval) / 2);
    await collectGarbage();
    memory = (process.memoryUsage().heapUsed - before) / ids.length;
  }
  await Promise.all(streams);
  const used = cpuTime() - cpu;
  return {
    cpu: used / (tokens * ids.length),
    seconds: (performance.now() - startedAt) / 1000,
    firstText: summary(first),
    delay: summary(delays),
    memory,
  };
}

answerParent(async (question: InstanceQuestion): Promise<unknown> => {
  switch (question.kind) {
    case "run":
      return run(question);
    case "follow": {
      const delays: number[] = [];
      const cpu = cpuTime();
      const all = question.ids.flatMap((id) => Array.from({ length: question.times }, () => id));
      // Each comes a little later than its turn, which is begun within a second.
      const wait = question.ids.length > 1 ? 1000 / question.ids.length : 0;
      const come = async (id: string, index: number): Promise<ReadableStream<Uint8Array>> => {
        await sleep(200 + index * wait);
        return follow(id, question.isFast);
      };
      const counts = await Promise.all(
        all.map(async (id, index) => read(await come(id, index), (time) => delays.push((now() - time) / 1000))),
      );
      const tokens = counts.reduce((sum, count) => sum + count, 0);
      // The beginning is read at once: what was said before the follower came is no delay.
      return { delay: summary(delays.slice(Math.floor(delays.length / 4))), tokens, cpu: (cpuTime() - cpu) / tokens };
    }
    case "runForever": {
      pace = { tokens: Number.MAX_SAFE_INTEGER, interval: 20, hold: 0 };
      const bodies = await Promise.all(question.ids.map(start));
      void Promise.allSettled(bodies.map((body) => read(body, () => {})));
      return undefined;
    }
    case "stop": {
      const sent: [string, number][] = [];
      for (const id of question.ids) {
        const headers = { "Content-Type": "application/json" };
        const body = JSON.stringify({ threadId: `t${id}`, responseId: `r${id}` });
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
