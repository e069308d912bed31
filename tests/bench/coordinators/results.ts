/** What one run of the benchmark has measured. */
import { median } from "../statistics.ts";
import type { RunResult } from "./instance.ts";
import type { Kind } from "./peers.ts";
import type { Returns } from "./relay.ts";

export interface KindResult {
  kind: Kind;
  /** Turns that nobody follows, one result for each round. */
  alone: RunResult[];
  /** The same with longer answers. */
  long: RunResult[];
  /** Redis commands for each token of `alone`. */
  commands: number;
  /** Bytes in use for each open stream, in the process that runs the turns. */
  memory: number;
  /** The same turns with one follower each on another instance. */
  followed?: { run: RunResult; delay: { median: number; p95: number }; cpu: number; commands: number };
  /** Milliseconds from the end of an answer to the model call of the next turn. */
  handOver?: { median: number; p95: number };
  /** Milliseconds from a stop on another instance until the model call is closed. */
  stop?: { median: number; p99: number };
  /** Seconds from the death of an instance to the model call of the next turn of its thread, on another instance. */
  crash?: { median: number; longest: number };
}

/** The sizes of the streams whose place in the database is measured, in characters of text. */
export const storedSizes = [2000, 20_000] as const;

/** What the database holds for a stream of one of {@link storedSizes}: bytes, the mean of many streams. */
export interface StorageResult {
  size: number;
  /** It runs, and nobody follows it. */
  alone: number;
  /** All its text was sent, to one follower. */
  followed: number;
  /** It has ended, and can still be read. */
  ended: number;
  /** What its keys in Redis take, as a share of {@link storageBound}: at most while it ran, before its text and from half of it on, and after its end. */
  shares: { running: number; ended: number };
}

/** The bytes that the keys of a stream with this much text may take in Redis: a string that grows takes up to twice its length. */
export const storageBound = (characters: number): number => 2.2 * characters + 1000;

/** How a prepared stream is carried to followers in another process. */
export interface RelayCase {
  title: string;
  followers: number;
  returns: Returns;
  tokensPerWrite: number;
  /** Milliseconds for the followers to come, and to come back. */
  hold: number;
}

export const relayCases: readonly RelayCase[] = [
  { title: "1 follower", followers: 1, returns: "never", tokensPerWrite: 1, hold: 800 },
  { title: "10 followers", followers: 10, returns: "never", tokensPerWrite: 1, hold: 800 },
  { title: "1 that came back 10 times", followers: 1, returns: "ten times", tokensPerWrite: 1, hold: 2500 },
  { title: "10 that came back", followers: 10, returns: "after the half", tokensPerWrite: 1, hold: 800 },
  { title: "1 follower, 16 tokens a write", followers: 1, returns: "never", tokensPerWrite: 16, hold: 800 },
];

export interface RelayResult {
  kind: Kind;
  /** Microseconds of CPU a token: of the source with its own reader, of the publisher with one follower, and of that follower. */
  alone: number;
  published: number;
  followed: number;
  /** Tokens a second until the last follower has read all, for each of {@link relayCases}. */
  rates: number[];
}

/** The median of all rounds. */
export const of = (results: readonly RunResult[], pick: (result: RunResult) => number): number => median(results.map(pick));
