/** The targets of the coordinators, and whether a run reached them. */
import { table } from "../markdown.ts";
import type { RunResult } from "./instance.ts";
import type { Kind } from "./peers.ts";
import { type KindResult, of, type RelayResult, type StorageResult } from "./results.ts";

/** The place that streams take in the database, by what coordinates them. */
export type Stored = ReadonlyMap<Kind, readonly StorageResult[]>;

interface Target {
  what: string;
  value: number;
  bound: number;
  /** Whether the bound is the most, or the least. */
  isMost: boolean;
  digits: number;
}

const isReached = ({ value, bound, isMost }: Target): boolean => (isMost ? value <= bound : value >= bound);

/** A table of all targets whose rows were measured. */
export function targetTable(results: readonly KindResult[], relays: readonly RelayResult[], stored: Stored): string {
  const all = [...turnTargets(results), ...storageTargets(stored), ...relayTargets(relays)];
  return table(
    ["target", "measured", "bound", ""],
    all.map((target) => [
      target.what,
      target.value.toFixed(target.digits),
      `${target.isMost ? "at most" : "at least"} ${target.bound}`,
      isReached(target) ? "reached" : "**missed**",
    ]),
  );
}

/** The flush interval of the measured turns, in milliseconds: PostgreSQL pushes nothing, so a piece may just miss a write. */
const flushInterval = 80;

/** What a coordinator may add to a turn: with Redis and a subscriber, and with PostgreSQL. */
const bounds = [
  { kind: "redis", name: "Redis", first: 1, behind: 5, stop: 100, handOver: 10 },
  { kind: "postgres", name: "PostgreSQL", first: 4, behind: 150 + flushInterval, stop: 400, handOver: 300 },
] as const;

function turnTargets(results: readonly KindResult[]): Target[] {
  const none = results.find(({ kind }) => kind === "none");
  if (!none) return [];
  return bounds.flatMap(({ kind, name, first, behind, stop, handOver }): Target[] => {
    const result = results.find((other) => other.kind === kind);
    if (!result?.followed || !result.stop || !result.handOver || !none.handOver) return [];
    const added = (pick: (run: RunResult) => number, length: "alone" | "long" = "alone"): number =>
      of(result[length], pick) - of(none[length], pick);
    const most = (what: string, value: number, bound: number, digits = 1): Target => ({
      what: `${name}: ${what}`,
      value,
      bound,
      isMost: true,
      digits,
    });
    const targets = [
      most(
        "first text, ms more, median",
        added(({ firstText }) => firstText.median),
        first,
      ),
      most(
        "CPU, µs a token more",
        added(({ cpu }) => cpu),
        5,
      ),
      most(
        "CPU, µs a token more, longer answers",
        added(({ cpu }) => cpu, "long"),
        5,
      ),
      most("memory, kB a stream more", (result.memory - none.memory) / 1000, 1.5),
      most(
        "a reader elsewhere, ms behind a local one, median",
        result.followed.delay.median - of(result.alone, ({ delay }) => delay.median),
        behind,
      ),
      most("stop, ms p99", result.stop.p99, stop),
      most("hand-over, ms more, median", result.handOver.median - none.handOver.median, handOver),
    ];
    if (result.crash) targets.push(most("next turn after a crash, s, longest", result.crash.longest, 11));
    if (kind !== "redis") return targets;
    const p95 = most(
      "first text, ms more, p95",
      added(({ firstText }) => firstText.p95),
      3,
    );
    return [...targets, p95, most("commands a token while followed", result.followed.commands, 0.3, 2)];
  });
}

/** Only Redis holds everything in memory. */
function storageTargets(stored: Stored): Target[] {
  const results = stored.get("redis");
  if (!results) return [];
  const most = (when: string, shares: number[]): Target => ({
    what: `Redis: the keys of a stream ${when}, as a share of 2.2 × its text + 1 kB`,
    value: Math.max(...shares),
    bound: 1,
    isMost: true,
    digits: 2,
  });
  return [
    most(
      "that runs",
      results.map(({ shares }) => shares.running),
    ),
    most(
      "that has ended",
      results.map(({ shares }) => shares.ended),
    ),
  ];
}

function relayTargets(relays: readonly RelayResult[]): Target[] {
  const ratesOf = (kind: string): number[] => relays.find((relay) => relay.kind === kind)?.rates ?? [];
  const [ours, theirs] = [ratesOf("redis"), ratesOf("resumable-stream")];
  if (ours.length === 0 || theirs.length === 0) return [];
  const least = (what: string, index: number, bound: number): Target => ({
    what: `throughput, as a multiple of resumable-stream's: ${what}`,
    value: ours[index]! / theirs[index]!,
    bound,
    isMost: false,
    digits: 1,
  });
  return [least("1 follower", 0, 2), least("1 follower, 16 tokens a write", 4, 2), least("1 follower that came back 10 times", 2, 8)];
}
