/** The page that `npm run bench:coordinators` writes: its rows and targets, with made-up figures. */
import { expect, test } from "vitest";
import { page } from "../bench/coordinators/report.ts";
import { type KindResult, relayCases, storageBound, type StorageResult, storedSizes } from "../bench/coordinators/results.ts";

const run = (more: number) => ({
  cpu: 28 + more,
  seconds: 4,
  firstText: { median: 1, p95: 2 },
  delay: { median: 40, p95: 76 },
});

const none: KindResult = {
  kind: "none",
  alone: [run(0)],
  long: [run(0)],
  commands: 0,
  memory: 24_000,
  handOver: { median: 0.1, p95: 0.3 },
};

const shared = (kind: "redis" | "postgres", longest: number): KindResult => ({
  kind,
  alone: [run(6)],
  long: [run(4)],
  commands: 0.04,
  memory: 25_000,
  followed: { run: run(2), delay: { median: 43, p95: 82 }, cpu: 17, commands: 0.3 },
  handOver: { median: 1, p95: 2 },
  crash: { median: 9, longest },
  stop: { median: 1, p99: 2 },
});

const storage = (running: number): StorageResult[] =>
  storedSizes.map((size) => ({
    size,
    alone: 1200,
    followed: size * 2,
    ended: size,
    shares: { running, ended: size / storageBound(size) },
  }));

const plan = {
  streams: 200,
  memoryStreams: 800,
  tokens: 150,
  longTokens: 500,
  rounds: 3,
  relayTokens: 50_000,
  stops: 50,
  handOvers: 50,
  crashes: 20,
  stored: 400,
};

/** The cells of a row. */
function rowOf(text: string, name: string): string[] {
  const line = text.split("\n").find((row) => row.startsWith(`| ${name}`)) ?? "";
  return line.split("|").map((cell) => cell.trim());
}

test("The page lists what the database holds, and whether its targets are reached", () => {
  const relays = [{ kind: "redis" as const, alone: 3, published: 3, followed: 0.1, rates: relayCases.map(() => 400_000) }];
  const stored = new Map([["redis" as const, storage(1.25)]]);
  const text = page([none, shared("redis", 10.4), shared("postgres", 11.2)], relays, stored, plan);

  const [, inDatabase = ""] = text.split("## In the database");
  expect(rowOf(inDatabase, "Redis with a subscriber").slice(2, 4)).toEqual(["1.2 / 4.0 / 2.0", "1.2 / 40.0 / 20.0"]);
  expect(rowOf(text, "Redis: next turn after a crash").slice(2, 5)).toEqual(["10.4", "at most 11", "reached"]);
  expect(rowOf(text, "PostgreSQL: next turn after a crash").slice(2, 5)).toEqual(["11.2", "at most 11", "**missed**"]);
  expect(rowOf(text, "Redis: the keys of a stream that runs").slice(2, 5)).toEqual(["1.25", "at most 1", "**missed**"]);
  expect(rowOf(text, "Redis: the keys of a stream that has ended").slice(2, 5)).toEqual(["0.44", "at most 1", "reached"]);
  expect(rowOf(text, "Redis: CPU, µs a token more ").slice(2, 5)).toEqual(["6.0", "at most 5", "**missed**"]);
  expect(rowOf(text, "Redis: CPU, µs a token more, longer").slice(2, 5)).toEqual(["4.0", "at most 5", "reached"]);
  expect(rowOf(text, "Redis: memory, kB a stream more").slice(2, 5)).toEqual(["1.0", "at most 1.5", "reached"]);
});
