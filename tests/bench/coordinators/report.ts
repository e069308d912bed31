/** The measurements as the page `docs/benchmark-coordinators.md` and its plot. */
import { cpus } from "node:os";
import { table } from "../markdown.ts";
import { type Bar, plot } from "../plot.ts";
import type { RunResult } from "./instance.ts";
import type { Kind } from "./peers.ts";
import { type KindResult, of, relayCases, type RelayResult, storedSizes } from "./results.ts";
import { type Stored, targetTable } from "./targets.ts";

const titles: Record<Kind, string> = {
  none: "no coordinator",
  redis: "Redis with a subscriber",
  "redis-polled": "Redis by polling",
  postgres: "PostgreSQL",
  "resumable-stream": "resumable-stream",
  "assistant-stream": "assistant-stream",
};

const fixed = (value: number | undefined, digits: number): string => (value === undefined ? "–" : value.toFixed(digits));
const pair = (first: number, second: number, digits: number): string => `${first.toFixed(digits)} / ${second.toFixed(digits)}`;
const usesRedis = ({ kind }: KindResult): boolean => kind !== "none" && kind !== "postgres";
const count = (value: number): string => Math.round(value).toLocaleString("en-US");

function costTable(results: readonly KindResult[]): string {
  return table(
    [
      "",
      "CPU, µs a token",
      "longer answers: CPU",
      "first text, ms median / p95",
      "memory, kB a stream",
      "Redis commands a token",
      "followed: CPU",
      "followed: commands",
    ],
    results.map((result) => {
      const { kind, alone, long, commands, memory, followed } = result;
      const pick = (select: (result: RunResult) => number): number => of(alone, select);
      return [
        titles[kind],
        pick(({ cpu }) => cpu).toFixed(1),
        of(long, ({ cpu }) => cpu).toFixed(1),
        pair(
          pick(({ firstText }) => firstText.median),
          pick(({ firstText }) => firstText.p95),
          1,
        ),
        (memory / 1000).toFixed(1),
        usesRedis(result) ? commands.toFixed(2) : "–",
        fixed(followed?.run.cpu, 1),
        usesRedis(result) ? fixed(followed?.commands, 2) : "–",
      ];
    }),
  );
}

function otherInstanceTable(results: readonly KindResult[]): string {
  return table(
    [
      "",
      "text to a local reader, ms median / p95",
      "to a reader elsewhere",
      "its CPU, µs a token",
      "stop, ms median / p99",
      "hand-over, ms median / p95",
      "after a crash, s median / longest",
    ],
    results.map(({ kind, alone, followed, stop, handOver, crash }) => [
      titles[kind],
      pair(
        of(alone, ({ delay }) => delay.median),
        of(alone, ({ delay }) => delay.p95),
        0,
      ),
      followed ? pair(followed.delay.median, followed.delay.p95, 0) : "–",
      fixed(followed?.cpu, 1),
      stop ? pair(stop.median, stop.p99, 0) : "–",
      handOver ? pair(handOver.median, handOver.p95, 1) : "–",
      crash ? pair(crash.median, crash.longest, 1) : "–",
    ]),
  );
}

function storageTable(stored: Stored): string {
  const kilobytes = (bytes: number): string => (bytes / 1000).toFixed(1);
  return table(
    ["", ...storedSizes.map((size) => `${size / 1000} kB of text: runs / is followed / has ended`)],
    [...stored].map(([kind, results]) => [
      titles[kind],
      ...results.map(({ alone, followed, ended }) => [alone, followed, ended].map(kilobytes).join(" / ")),
    ]),
  );
}

function relayTable(relays: readonly RelayResult[]): string {
  return table(
    ["", "CPU, µs a token: source / publisher / follower", ...relayCases.map(({ title }) => title)],
    relays.map(({ kind, alone, published, followed, rates }) => [
      titles[kind],
      [alone, published, followed].map((value) => value.toFixed(1)).join(" / "),
      ...rates.map(count),
    ]),
  );
}

/** Only the tables, for the terminal. */
export const tables = (results: readonly KindResult[], relays: readonly RelayResult[], stored: Stored): string =>
  [costTable(results), otherInstanceTable(results), storageTable(stored), relayTable(relays), targetTable(results, relays, stored)].join(
    "\n\n",
  );

/** The page for the docs. */
export function page(
  results: readonly KindResult[],
  relays: readonly RelayResult[],
  stored: Stored,
  plan: {
    streams: number;
    memoryStreams: number;
    tokens: number;
    longTokens: number;
    rounds: number;
    relayTokens: number;
    stops: number;
    handOvers: number;
    crashes: number;
    stored: number;
  },
): string {
  return `# What many instances cost

\`npm run bench:coordinators\` wrote this page and measured everything on it in one run: Node ${process.versions.node} on ${cpus().length} cores of
${cpus()[0]?.model.trim() ?? "an unknown processor"}, with Redis and PostgreSQL on the same machine. Compare the rows; single times depend on the machine.

![CPU and throughput of the coordinators](images/benchmark-coordinators.svg)

- **No coordinator** is \`createChatHandler\` with the memory store. All rows have the same handler and store.
- **resumable-stream** (2.2, which the AI SDK's documentation recommends) wraps the same handler's text and publishes it through the same Redis. It has no
  queue, no stop and no leases. While nobody follows, it sends no text to Redis.
- **assistant-stream** (0.3, of assistant-ui) wraps the same handler's bytes. It sends all text to Redis, with a token that fences, and polls every
  100 ms, also for its own reader. It has no queue and no stop, and its readers start from the beginning.

## A turn

${plan.streams} streams of ${plan.tokens} tokens, 50 tokens a second each: the median of some rounds, in which the rows take turns, after a thousand turns. CPU is
that of the process that runs the turns, without the database. *Longer answers* have ${plan.longTokens} tokens, as in the [other benchmark](benchmark.md): a
coordinator is called at the beginning and at the end of a turn, so it costs less for each token of a long one. *Followed*: each turn has one reader in
another process. Memory is what the heap holds for each of ${plan.memoryStreams} open streams while their model pauses, the mean of 12 moments.

${costTable(results)}

## Other instances

The delay of text is the time from the model's write to the reader, with the flush interval of 80 ms in both. A stop is sent to another
instance and ends when the model call is closed, ${plan.stops} times. A hand-over is the time from the end of an answer to the model call of the
next turn, which waits on another instance, ${plan.handOvers} times. Without a coordinator it waits on the same instance: that is what the turn itself costs.
After a crash, the next turn waits for the lease of 10 s: ${plan.rounds} processes are killed in the middle of ${plan.crashes} answers each, and the time ends when
the next turn of each thread, on another instance, calls its model.

${otherInstanceTable(results)}

## In the database

What Redis or PostgreSQL holds for a stream, in kB: while it runs and nobody follows it, after all its text has reached one follower in another process,
and after its end, while it can still be read. For Redis this is the growth of its \`used_memory\` with ${plan.stored} streams, divided by their number: keys,
channels and buffers. The targets count only the keys, by \`MEMORY USAGE\`, at the worst of seven moments: before the text, and from half of it on. For
PostgreSQL it is the growth of the tables with their indexes. The text comes in ten pieces; PostgreSQL compresses large ones.

${storageTable(stored)}

## A relay

A prepared stream of ${count(plan.relayTokens)} writes, as fast as it can, is published by one process and followed in another, without a route and a model.
\`assistant-stream\` carries a fifth of them. Throughput is in tokens a second until the last follower has read everything.

- Each token is a write by itself, as the AI SDK writes. resumable-stream and assistant-stream wait for Redis at each write. A coordinator
  collects what comes within 80 ms, and its publisher never waits. In the last column 16 tokens are one write.
- *Came back*: a follower leaves and comes back with its cursor, ten times before the stream goes on, or once after the half. resumable-stream
  goes on publishing for those that left.

${relayTable(relays)}

## Targets

${targetTable(results, relays, stored)}
`;
}

/** The plot of the page. */
export function pagePlot(results: readonly KindResult[], relays: readonly RelayResult[]): Promise<string> {
  const bar = (kind: Kind, value: number, text: string): Bar => ({
    label: titles[kind],
    value,
    text,
    isOurs: kind === "redis" || kind === "redis-polled" || kind === "postgres",
  });
  return plot([
    {
      title: "CPU per token, nobody follows (µs)",
      bars: results.map(({ kind, alone }) => {
        const cpu = of(alone, (run) => run.cpu);
        return bar(kind, cpu, cpu.toFixed(1));
      }),
    },
    {
      title: "Tokens per second of a relay with one follower",
      bars: relays.map(({ kind, rates: [rate = 0] }) => bar(kind, rate, count(rate))),
    },
  ]);
}
