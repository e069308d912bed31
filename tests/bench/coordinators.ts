/**
 * `npm run bench:coordinators`: what it costs to share turns between instances, beside resumable-stream over the same Redis. Starts its own Redis
 * and PostgreSQL. Prints tables, and writes `docs/benchmark-coordinators.md` with its plot. `--quick` writes nothing.
 */
import { mkdir, writeFile } from "node:fs/promises";
import { parseArgs } from "node:util";
import { Redis } from "ioredis";
import { startPostgres } from "../services/postgres.ts";
import { startRedis } from "../services/redis.ts";
import { startChild } from "./child.ts";
import type { InstanceQuestion, Kind, RunResult } from "./coordinators/instance.ts";
import { type KindResult, page, pagePlot, tables } from "./coordinators/report.ts";
import { median, quantile } from "./statistics.ts";

const { quick, only } = parseArgs({ options: { quick: { type: "boolean", default: false }, only: { type: "string" } } }).values;

const plan = quick
  ? { streams: 50, tokens: 50, rounds: 1, fastTokens: 2_000, stops: 20 }
  : { streams: 200, tokens: 150, rounds: 3, fastTokens: 20_000, stops: 100 };
const interval = 20;
/** How long a fast model waits for its followers, in milliseconds. */
const hold = 1000;

const progress = (text: string) => console.error(`  ${text}`);
const redis = await startRedis(["--appendonly", "no"]);
const postgres = await startPostgres();
const admin = new Redis(redis.url);

/** The commands that clients have sent. Redis also counts what its scripts call. */
async function countCommands(kind: Kind): Promise<number> {
  const calls = [...(await admin.info("commandstats")).matchAll(/cmdstat_([\w|]+):calls=(\d+)/g)];
  const own = kind === "resumable-stream" ? undefined : ["eval", "evalsha", "subscribe", "unsubscribe"];
  return calls.reduce((sum, [, name = "", count]) => (!own || own.includes(name) ? sum + Number(count) : sum), 0);
}

let ids = 0;
const newIds = (count: number): string[] => Array.from({ length: count }, () => `${process.pid}-${++ids}`);

async function measure(kind: Kind): Promise<KindResult> {
  const url = kind === "postgres" ? postgres.url : redis.url;
  const file = new URL("./coordinators/instance.ts", import.meta.url);
  const [one, other] = [1, 2].map(() => startChild<InstanceQuestion, unknown>(file, [kind, url])) as [
    ReturnType<typeof startChild<InstanceQuestion, unknown>>,
    ReturnType<typeof startChild<InstanceQuestion, unknown>>,
  ];
  const run = (given: string[], tokens: number, pace: number, hold = 0) =>
    one.ask({ kind: "run", ids: given, tokens, interval: pace, hold }) as Promise<RunResult>;
  const follow = (given: string[], times: number, isFast: boolean) =>
    other.ask({ kind: "follow", ids: given, times, isFast }) as Promise<{ delay: { median: number; p95: number }; cpu: number }>;
  try {
    await run(newIds(20), 20, interval); // compiles
    const alone: RunResult[] = [];
    const commands: number[] = [];
    for (let round = 0; round < plan.rounds; round++) {
      const before = await countCommands(kind);
      alone.push(await run(newIds(plan.streams), plan.tokens, interval));
      commands.push(((await countCommands(kind)) - before) / (plan.streams * plan.tokens));
    }
    const result: KindResult = { kind, alone, commands: median(commands), throughput: new Map() };
    const canFollow = kind !== "none";
    if (canFollow) {
      const given = newIds(plan.streams);
      const before = await countCommands(kind);
      const [followed, followers] = await Promise.all([run(given, plan.tokens, interval), follow(given, 1, false)]);
      const used = (await countCommands(kind)) - before;
      result.followed = { run: followed, delay: followers.delay, cpu: followers.cpu, commands: used / (plan.streams * plan.tokens) };
    }
    for (const followers of canFollow ? [0, 1, 10] : [0]) {
      const rates: number[] = [];
      for (let round = 0; round < plan.rounds; round++) {
        const given = newIds(1);
        const startedAt = performance.now();
        await Promise.all([run(given, plan.fastTokens, 0, hold), followers > 0 && follow(given, followers, true)]);
        rates.push(plan.fastTokens / ((performance.now() - startedAt - hold) / 1000));
      }
      result.throughput.set(followers, median(rates));
    }
    if (canFollow && kind !== "resumable-stream") {
      const given = newIds(plan.stops);
      await one.ask({ kind: "runForever", ids: given });
      const sent = (await other.ask({ kind: "stop", ids: given })) as [string, number][];
      const closings = new Map((await one.ask({ kind: "closings" })) as [string, number][]);
      const times = sent.map(([id, at]) => (closings.get(id)! - at) / 1000);
      result.stop = { median: median(times), p99: quantile(times, 0.99) };
    }
    return result;
  } finally {
    one.stop();
    other.stop();
  }
}

const kinds: Kind[] = ["none", "redis", "redis-polled", "postgres", "resumable-stream"];
const results: KindResult[] = [];
try {
  for (const kind of kinds.filter((name) => only === undefined || only.split(",").includes(name))) {
    progress(kind);
    results.push(await measure(kind));
  }
} finally {
  admin.disconnect();
  await redis.stop();
  await postgres.stop();
}
console.log(`\n${tables(results)}`);
if (!quick && only === undefined) {
  const docs = new URL("../../docs/", import.meta.url);
  await mkdir(new URL("images/", docs), { recursive: true });
  await writeFile(new URL("benchmark-coordinators.md", docs), page(results, plan));
  await writeFile(new URL("images/benchmark-coordinators.svg", docs), await pagePlot(results));
}
