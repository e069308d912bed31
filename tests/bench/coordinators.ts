/**
 * `npm run bench:coordinators`: what it costs to share turns between instances, beside resumable-stream and assistant-stream over the same Redis. Starts
 * its own Redis and PostgreSQL. Prints tables, and writes `docs/benchmark-coordinators.md` with its plot. `--quick` writes nothing.
 */
import { mkdir, writeFile } from "node:fs/promises";
import { parseArgs } from "node:util";
import { setTimeout as sleep } from "node:timers/promises";
import { Redis } from "ioredis";
import { Client } from "pg";
import { startPostgres } from "../services/postgres.ts";
import { startRedis } from "../services/redis.ts";
import { startChild } from "./child.ts";
import { now } from "./coordinators/connect.ts";
import type { InstanceQuestion, QueueTimes, RunResult } from "./coordinators/instance.ts";
import type { Kind } from "./coordinators/peers.ts";
import type { Followed, Published, RelayQuestion } from "./coordinators/relay.ts";
import { page, pagePlot, tables } from "./coordinators/report.ts";
import {
  type KindResult,
  type RelayCase,
  relayCases,
  type RelayResult,
  storageBound,
  type StorageResult,
  storedSizes,
} from "./coordinators/results.ts";
import type { StorageQuestion } from "./coordinators/storage.ts";
import { median, quantile, shuffled } from "./statistics.ts";
import { answerText } from "./workload.ts";

const { quick, only } = parseArgs({ options: { quick: { type: "boolean", default: false }, only: { type: "string" } } }).values;

const plan = quick
  ? {
      streams: 50,
      memoryStreams: 50,
      tokens: 50,
      longTokens: 100,
      rounds: 1,
      turnRounds: 1,
      warmUpTurns: 50,
      relayTokens: 10_000,
      stops: 20,
      handOvers: 10,
      crashes: 5,
      stored: 100,
    }
  : {
      streams: 200,
      /** More: what a process holds once would count for each. */
      memoryStreams: 800,
      tokens: 150,
      /** As long as the answers of the other benchmark. A coordinator costs something for each turn, and so less for each token of a long one. */
      longTokens: 500,
      rounds: 3,
      turnRounds: 5,
      warmUpTurns: 1000,
      relayTokens: 50_000,
      stops: 50,
      handOvers: 50,
      crashes: 20,
      stored: 400,
    };
const interval = 20;

const progress = (text: string) => console.error(`  ${text}`);
const redis = await startRedis(["--appendonly", "no"]);
const postgres = await startPostgres();
const admin = new Redis(redis.url);
const database = new Client(postgres.url);
await database.connect();

/** The commands that clients send. Redis also counts what scripts call, which `assistant-stream` does once with `get` for each `evalsha`. */
const commandsOf: Partial<Record<Kind, string[]>> = {
  "resumable-stream": ["publish", "subscribe", "unsubscribe", "get", "set", "incr"],
  "assistant-stream": ["get", "xrange", "set"],
};

async function countCommands(kind: Kind): Promise<number> {
  const own = commandsOf[kind] ?? ["eval", "evalsha", "subscribe", "unsubscribe"];
  const calls = [...(await admin.info("commandstats")).matchAll(/cmdstat_([\w|]+):calls=(\d+)/g)];
  return calls.reduce((sum, [, name = "", count]) => (own.includes(name) ? sum + Number(count) : sum), 0);
}

let ids = 0;
const newIds = (count: number): string[] => Array.from({ length: count }, () => `${process.pid}-${++ids}`);

/** Starts two processes of a file. */
function startPair<Question extends object>(file: string, kind: Kind) {
  const url = kind === "postgres" ? postgres.url : redis.url;
  const children = [1, 2].map(() => startChild<Question, unknown>(new URL(file, import.meta.url), [kind, url]));
  const [one, other] = children as [(typeof children)[0], (typeof children)[0]];
  return {
    one,
    other,
    stop() {
      one.stop();
      other.stop();
    },
  };
}

type Pair = ReturnType<typeof startPair<InstanceQuestion>>;

const runTurns = (instance: Pair["one"], given: string[], tokens: number, pace = interval): Promise<RunResult> =>
  instance.ask({ kind: "run", ids: given, tokens, interval: pace }) as Promise<RunResult>;

/** A server compiles its code within its first thousand turns, and runs for days. */
async function warmUp({ one }: Pair): Promise<void> {
  for (let turns = 0; turns < plan.warmUpTurns; turns += plan.streams) await runTurns(one, newIds(plan.streams), 50, 5);
}

/** Measures turns that nobody follows. The kinds take turns in a random order: a slow minute of the machine affects all of them. */
async function measureAlone(pairs: ReadonlyMap<Kind, Pair>): Promise<Map<Kind, Alone>> {
  const rounds = new Map(
    [...pairs.keys()].map((kind) => [kind, { alone: [] as RunResult[], long: [] as RunResult[], commands: [] as number[] }]),
  );
  for (let round = 0; round < plan.turnRounds; round++) {
    for (const [kind, { one }] of shuffled([...pairs])) {
      const { alone, long, commands } = rounds.get(kind)!;
      const before = await countCommands(kind);
      alone.push(await runTurns(one, newIds(plan.streams), plan.tokens));
      commands.push(((await countCommands(kind)) - before) / (plan.streams * plan.tokens));
      long.push(await runTurns(one, newIds(plan.streams), plan.longTokens));
    }
  }
  return new Map([...rounds].map(([kind, result]) => [kind, { ...result, commands: median(result.commands) }]));
}

type Alone = Pick<KindResult, "alone" | "long" | "commands">;

async function measure(kind: Kind, { one, other, stop }: Pair, alone: Alone): Promise<KindResult> {
  const run = (given: string[], tokens: number) => runTurns(one, given, tokens);
  try {
    const memory = (await one.ask({ kind: "memory", ids: newIds(plan.memoryStreams) })) as number;
    const result: KindResult = { kind, ...alone, memory };
    if (kind !== "none") {
      const given = newIds(plan.streams);
      const before = await countCommands(kind);
      const [followed, followers] = (await Promise.all([run(given, plan.tokens), other.ask({ kind: "follow", ids: given })])) as [
        RunResult,
        { delay: { median: number; p95: number }; cpu: number },
      ];
      const used = (await countCommands(kind)) - before;
      result.followed = { run: followed, delay: followers.delay, cpu: followers.cpu, commands: used / (plan.streams * plan.tokens) };
    }
    if (kind in commandsOf) return result;
    result.handOver = await measureHandOvers(kind, one, other);
    if (kind !== "none") {
      result.crash = await measureCrashes(kind);
      const given = newIds(plan.stops);
      await one.ask({ kind: "runForever", ids: given });
      const sent = (await other.ask({ kind: "stop", ids: given })) as [string, number][];
      const closings = new Map((await one.ask({ kind: "closings" })) as [string, number][]);
      const times = sent.map(([id, at]) => (closings.get(id)! - at) / 1000);
      result.stop = { median: median(times), p99: quantile(times, 0.99) };
    }
    return result;
  } finally {
    stop();
  }
}

type Instance = Pair["one"];

/** Milliseconds from the end of an answer to the model call of the next turn of its thread, on another instance if there is a coordinator. */
async function measureHandOvers(kind: Kind, one: Instance, other: Instance): Promise<{ median: number; p95: number }> {
  const threads = newIds(plan.handOvers);
  const [first, next] = ["first", "next"].map((name) => threads.map((thread) => `${name}/${thread}`)) as [string[], string[]];
  const ask = (instance: Instance, given: string[]) => instance.ask({ kind: "queue", ids: given }) as Promise<QueueTimes>;
  const results = kind === "none" ? [await ask(one, [...first, ...next])] : await Promise.all([ask(one, first), ask(other, next)]);
  const called = new Map(results.flatMap((result) => result.called));
  const ended = new Map(results.flatMap((result) => result.ended));
  const times = threads.map((thread) => (called.get(`next/${thread}`)! - ended.get(`first/${thread}`)!) / 1000);
  return { median: median(times), p95: quantile(times, 0.95) };
}

/** Seconds from the deaths of instances to the model calls of the turns that wait on others. */
async function measureCrashes(kind: Kind): Promise<{ median: number; longest: number }> {
  const times = (await Promise.all(Array.from({ length: plan.rounds }, () => measureCrash(kind)))).flat();
  return { median: median(times), longest: Math.max(...times) };
}

async function measureCrash(kind: Kind): Promise<number[]> {
  const { one, other, stop } = startPair<InstanceQuestion>("./coordinators/instance.ts", kind);
  const threads = newIds(plan.crashes);
  try {
    for (const thread of threads) {
      await one.ask({ kind: "runForever", ids: [`first/${thread}`] });
      // Spread over the time between two renewals: some leases were renewed just before the crash.
      await sleep(3300 / threads.length);
    }
    const waiting = other.ask({ kind: "queue", ids: threads.map((thread) => `next/${thread}`) }) as Promise<QueueTimes>;
    // The turns enter one after the other. The death comes at any moment between two looks of those that wait.
    await sleep(threads.length * 20 + 1000 + Math.random() * 1000);
    const killedAt = now();
    one.kill();
    const called = new Map((await waiting).called);
    return threads.map((thread) => (called.get(`next/${thread}`)! - killedAt) / 1e6);
  } finally {
    stop();
  }
}

/** Bytes that the database holds: Redis in memory, PostgreSQL in the coordinator's tables and their indexes. */
async function countStored(kind: Kind): Promise<number> {
  if (kind !== "postgres") return Number(/used_memory:(\d+)/.exec(await admin.info("memory"))?.[1]);
  const text = `SELECT sum(pg_total_relation_size(oid)) AS size FROM pg_class WHERE relkind = 'r' AND relname LIKE 'chat%'`;
  return Number((await database.query<{ size: string }>(text)).rows[0]!.size);
}

/** Bytes of the keys that Redis holds. */
async function countKeys(): Promise<number> {
  const pipeline = admin.pipeline();
  for (const key of await admin.keys("*")) pipeline.memory("USAGE", key, "SAMPLES", 0);
  const replies = (await pipeline.exec()) ?? [];
  return replies.reduce((sum, [, bytes]) => sum + Number(bytes), 0);
}

async function measureStorage(kind: Kind, size: number): Promise<StorageResult> {
  const { one, other, stop } = startPair<StorageQuestion>("./coordinators/storage.ts", kind);
  const pieces = 10;
  const text = answerText(size).slice(0, size / pieces);
  let base = 0;
  /** Bytes for each stream, after what is under way has arrived. */
  const count = async (streams: number): Promise<number> => {
    await sleep(200);
    return ((await countStored(kind)) - base) / streams;
  };
  const shareOfBound = async (streams: number, written: number): Promise<number> => (await countKeys()) / streams / storageBound(written);
  /** `streams` of them, from their beginning to their end. */
  async function publish(streams: number): Promise<StorageResult> {
    // As long as the ids that clients send.
    const ids = Array.from({ length: streams }, () => crypto.randomUUID());
    await one.ask({ kind: "open", ids });
    const alone = await count(streams);
    const shares = [await shareOfBound(streams, 0)];
    await other.ask({ kind: "follow", ids });
    for (let written = text.length; written <= size; written += text.length) {
      await one.ask({ kind: "write", text });
      await other.ask({ kind: "waitFor", characters: written * streams });
      // A string that begins takes small steps, which say nothing of a stream of this size.
      if (written >= size / 2) shares.push(await shareOfBound(streams, written));
    }
    const followed = await count(streams);
    await one.ask({ kind: "end" });
    const ended = await count(streams);
    return { size, alone, followed, ended, shares: { running: Math.max(...shares), ended: await shareOfBound(streams, size) } };
  }
  try {
    await publish(10); // creates tables, scripts and buffers
    await admin.flushall();
    await sleep(500);
    base = await countStored(kind);
    return await publish(plan.stored);
  } finally {
    stop();
  }
}

async function measureRelay(kind: Kind): Promise<RelayResult> {
  const { one, other, stop } = startPair<RelayQuestion>("./coordinators/relay.ts", kind);
  // One write costs assistant-stream two round trips.
  const allTokens = kind === "assistant-stream" ? plan.relayTokens / 5 : plan.relayTokens;
  const publish = (isAlone: boolean) =>
    one.ask({ kind: "publish", id: newIds(1)[0]!, tokens: allTokens, tokensPerWrite: 1, hold: 0, isAlone }) as Promise<Published>;
  async function relay({ followers, returns, tokensPerWrite, hold }: RelayCase) {
    const [id] = newIds(1) as [string];
    const tokens = allTokens * tokensPerWrite;
    const [published, followed] = (await Promise.all([
      one.ask({ kind: "publish", id, tokens, tokensPerWrite, hold, isAlone: false }),
      other.ask({ kind: "follow", id, tokens, followers, returns }),
    ])) as [Published, Followed];
    if (followed.arrivedAt > published.wentOnAt) throw new Error(`${kind}: a follower came later than the hold of ${hold} ms.`);
    return { rate: tokens / ((followed.endedAt - published.wentOnAt) / 1e6), published: published.cpu, followed: followed.cpu };
  }
  try {
    await publish(true); // compiles
    const alone = await publish(true);
    const result: RelayResult = { kind, alone: alone.cpu, published: 0, followed: 0, rates: [] };
    for (const [index, relayCase] of relayCases.entries()) {
      const rounds = [];
      for (let round = 0; round < plan.rounds; round++) rounds.push(await relay(relayCase));
      result.rates.push(median(rounds.map(({ rate }) => rate)));
      if (index > 0) continue;
      result.published = median(rounds.map(({ published }) => published));
      result.followed = median(rounds.map(({ followed }) => followed));
    }
    return result;
  } finally {
    stop();
  }
}

const allKinds: Kind[] = ["none", "redis", "redis-polled", "postgres", "resumable-stream", "assistant-stream"];
const kinds = allKinds.filter((name) => only === undefined || only.split(",").includes(name));
const results: KindResult[] = [];
const relays: RelayResult[] = [];
const stored = new Map<Kind, StorageResult[]>();
try {
  progress("turns that nobody follows");
  const pairs = new Map(kinds.map((kind) => [kind, startPair<InstanceQuestion>("./coordinators/instance.ts", kind)]));
  for (const pair of pairs.values()) await warmUp(pair);
  const alone = await measureAlone(pairs);
  for (const kind of kinds) {
    progress(kind);
    results.push(await measure(kind, pairs.get(kind)!, alone.get(kind)!));
    if (kind === "none") continue;
    relays.push(await measureRelay(kind));
    const sizes = [];
    for (const size of storedSizes) sizes.push(await measureStorage(kind, size));
    stored.set(kind, sizes);
  }
} finally {
  admin.disconnect();
  await database.end();
  await redis.stop();
  await postgres.stop();
}
console.log(`\n${tables(results, relays, stored)}`);
if (!quick && only === undefined) {
  const docs = new URL("../../docs/", import.meta.url);
  await mkdir(new URL("images/", docs), { recursive: true });
  await writeFile(new URL("benchmark-coordinators.md", docs), page(results, relays, stored, plan));
  await writeFile(new URL("images/benchmark-coordinators.svg", docs), await pagePlot(results, relays));
}
