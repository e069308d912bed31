/** The measurements as the page `docs/benchmark-coordinators.md` and its plot. */
import { cpus } from "node:os";
import { table } from "../markdown.ts";
import { type Bar, plot } from "../plot.ts";
import { median } from "../statistics.ts";
import type { Kind, RunResult } from "./instance.ts";

export interface KindResult {
  kind: Kind;
  /** Turns that nobody follows, one result for each round. */
  alone: RunResult[];
  /** Redis commands for each token of these turns. */
  commands: number;
  /** The same turns with one follower each on another instance. */
  followed?: { run: RunResult; delay: { median: number; p95: number }; cpu: number; commands: number };
  /** Tokens per second of one fast answer until the last of so many followers has read it. */
  throughput: Map<number, number>;
  /** Milliseconds from a stop on another instance until the model call is closed. */
  stop?: { median: number; p99: number };
}

const titles: Record<Kind, string> = {
  none: "no coordinator",
  redis: "Redis with a subscriber",
  "redis-polled": "Redis by polling",
  postgres: "PostgreSQL",
  "resumable-stream": "resumable-stream",
};

const of = (results: readonly RunResult[], pick: (result: RunResult) => number): number => median(results.map(pick));
const fixed = (value: number | undefined, digits: number): string => (value === undefined ? "–" : value.toFixed(digits));
const usesRedis = ({ kind }: KindResult): boolean => kind !== "none" && kind !== "postgres";

function costTable(results: readonly KindResult[]): string {
  return table(
    [
      "",
      "CPU, µs a token",
      "first text, ms median / p95",
      "memory, kB a stream",
      "Redis commands a token",
      "followed: CPU",
      "followed: commands",
    ],
    results.map((result) => [
      titles[result.kind],
      fixed(
        of(result.alone, ({ cpu }) => cpu),
        1,
      ),
      `${fixed(
        of(result.alone, ({ firstText }) => firstText.median),
        1,
      )} / ${fixed(
        of(result.alone, ({ firstText }) => firstText.p95),
        1,
      )}`,
      fixed(of(result.alone, ({ memory }) => memory) / 1000, 1),
      usesRedis(result) ? fixed(result.commands, 2) : "–",
      fixed(result.followed?.run.cpu, 1),
      usesRedis(result) ? fixed(result.followed?.commands, 2) : "–",
    ]),
  );
}

function followTable(results: readonly KindResult[]): string {
  return table(
    [
      "",
      "text to a local reader, ms median / p95",
      "to a reader elsewhere",
      "its CPU, µs a token",
      "stop, ms median / p99",
      ...[0, 1, 10].map((followers) => `tokens a second, ${followers} follower${followers === 1 ? "" : "s"}`),
    ],
    results.map(({ kind, alone, followed, stop, throughput }) => [
      titles[kind],
      `${fixed(
        of(alone, ({ delay }) => delay.median),
        0,
      )} / ${fixed(
        of(alone, ({ delay }) => delay.p95),
        0,
      )}`,
      followed ? `${fixed(followed.delay.median, 0)} / ${fixed(followed.delay.p95, 0)}` : "–",
      fixed(followed?.cpu, 1),
      stop ? `${fixed(stop.median, 0)} / ${fixed(stop.p99, 0)}` : "–",
      ...[0, 1, 10].map((followers) => fixed(throughput.get(followers), 0)),
    ]),
  );
}

/** Only the tables, for the terminal. */
export const tables = (results: readonly KindResult[]): string => `${costTable(results)}\n\n${followTable(results)}`;

/** The page for the docs. */
export function page(results: readonly KindResult[], plan: { streams: number; tokens: number; fastTokens: number; stops: number }): string {
  return `# What many instances cost

\`npm run bench:coordinators\` wrote this page and measured everything on it in one run: Node ${process.versions.node} on ${cpus().length} cores of
${cpus()[0]?.model.trim() ?? "an unknown processor"}, with Redis and PostgreSQL on the same machine. Compare the rows; single times depend on the machine.

![CPU and throughput of the coordinators](images/benchmark-coordinators.svg)

- **No coordinator** is \`createChatHandler\` with the memory store. All rows have the same handler and store.
- **resumable-stream** (2.2, which the AI SDK's documentation recommends) wraps the same handler's text and publishes it through the same Redis. It has no
  queue, no stop and no leases. While nobody follows, it sends no text to Redis.

## A turn

${plan.streams} streams of ${plan.tokens} tokens, 50 tokens a second each. CPU is that of the process that runs the turns, without the database. *Followed*:
each turn has one reader in another process.

${costTable(results)}

## Readers on another instance

The delay of text is the time from the model's write to the reader, with the flush interval of 80 ms in both. A stop is sent to another
instance and ends when the model call is closed, ${plan.stops} times. The last columns are one answer of ${plan.fastTokens.toLocaleString("en-US")} tokens from a
model without delay and with \`flushInterval: 0\`, until the last follower has read it.

${followTable(results)}
`;
}

/** The plot of the page. */
export function pagePlot(results: readonly KindResult[]): Promise<string> {
  const bar = ({ kind }: KindResult, value: number, text: string): Bar => ({
    label: titles[kind],
    value,
    text,
    isOurs: kind !== "resumable-stream" && kind !== "none",
  });
  const followed = results.filter((result) => result.followed);
  return plot([
    {
      title: "CPU per token, nobody follows (µs)",
      bars: results.map((result) => {
        const cpu = of(result.alone, (run) => run.cpu);
        return bar(result, cpu, cpu.toFixed(1));
      }),
    },
    {
      title: "Tokens per second of one answer with a follower elsewhere",
      bars: followed.map((result) => bar(result, result.throughput.get(1) ?? 0, (result.throughput.get(1) ?? 0).toFixed(0))),
    },
  ]);
}
