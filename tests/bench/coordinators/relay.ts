/**
 * One side of a relay: publishes a prepared stream, or follows that of another process. Without routes and models, so that what is measured is what
 * carries the text. A process of its own, so that its CPU is measured alone.
 */
import { setImmediate as nextTurn, setTimeout as sleep } from "node:timers/promises";
import { createMemoryStore } from "../../../src/index.ts";
import { LogWrites } from "../../../src/lib/chat/log-writes.ts";
import { localRegistryOf } from "../../../src/lib/coordination/local.ts";
import { EventLog } from "../../../src/lib/core/event-log.ts";
import type { LocalTurn, TurnRegistry } from "../../../src/lib/core/turn-registry.ts";
import { answerParent, cpuTime } from "../child.ts";
import { answerText } from "../workload.ts";
import { createCoordinator, now } from "./connect.ts";
import { keyOf, readLog, readStream } from "./logs.ts";
import { connectPeer, type Kind, type Peer } from "./peers.ts";

/** The requests of the parent. */
export type RelayQuestion =
  /**
   * Publishes so many tokens and reads them here. Waits for `hold` milliseconds after the first write, so that followers can come. `isAlone`: without
   * what carries the text to others.
   */
  | { kind: "publish"; id: string; tokens: number; tokensPerWrite: number; hold: number; isAlone: boolean }
  /** Follows with so many readers, each to the end. */
  | { kind: "follow"; id: string; tokens: number; followers: number; returns: Returns };

/** How often a follower has left and come back with its cursor. Ten times: before the source goes on behind its first token. */
export type Returns = "never" | "ten times" | "after the half";

export interface Published {
  /** Microseconds of CPU for each token. */
  cpu: number;
  /** When the source went on behind its first token, by the wall clock in microseconds. */
  wentOnAt: number;
}

export interface Followed {
  cpu: number;
  /** When the last follower had come, for the last time before the half. */
  arrivedAt: number;
  endedAt: number;
}

const [kindName = "none", url = ""] = process.argv.slice(2);
const kind = kindName as Kind;
const peer: Peer | undefined = await connectPeer(kind, url);
const local = localRegistryOf(createMemoryStore());
const shared: TurnRegistry = createCoordinator(kind, url)?.registry ?? local;

/** The prepared source. Each write comes by itself, as from a network. */
async function* readSource(tokens: number, tokensPerWrite: number, hold: number, onGoingOn: () => void): AsyncGenerator<string> {
  const words = answerText(tokens).match(/ \S+/g) ?? [];
  for (let first = 0; first < words.length; first += tokensPerWrite) {
    if (first === tokensPerWrite) {
      await sleep(hold);
      onGoingOn();
    }
    await nextTurn();
    yield words.slice(first, first + tokensPerWrite).join("");
  }
}

function toStream(source: AsyncGenerator<string>, chunks: Peer["chunks"]): ReadableStream {
  const encoder = new TextEncoder();
  return new ReadableStream(
    {
      async pull(controller) {
        const { done, value } = await source.next();
        if (done) controller.close();
        else controller.enqueue(chunks === "text" ? value : encoder.encode(value));
      },
    },
    { highWaterMark: 0 },
  );
}

async function publishLog(registry: TurnRegistry, id: string, source: AsyncGenerator<string>): Promise<void> {
  const log = new EventLog({ onAbandoned() {} });
  const fail = (error: unknown): never => {
    throw error;
  };
  const turn: LocalTurn = { log, abort: fail, report: fail };
  const entry = { ...keyOf(id), prompt: { id, role: "user" as const, content: "Hi" } };
  const entrance = await registry.enter(entry, { concurrency: "queue", maxQueued: 0 }, turn);
  if (entrance.kind !== "entered") throw new Error(`Not entered: ${entrance.kind}`);
  const lease = await entrance.ticket.waitForLease();
  lease.markStarted();
  const read = readLog(log, () => false);
  for await (const text of source) {
    log.append({ type: "text", text });
    while (log.shouldPause()) await log.waitForReaders();
  }
  log.append({ type: "end", status: "complete" });
  await Promise.all([read, entrance.ticket.leave()]);
}

async function publishStream({ publish, chunks }: Peer, id: string, source: AsyncGenerator<string>, isAlone: boolean): Promise<void> {
  const makeStream = () => toStream(source, chunks);
  await readStream(isAlone ? makeStream() : await publish(id, makeStream), () => false);
}

async function publish({ id, tokens, tokensPerWrite, hold, isAlone }: Extract<RelayQuestion, { kind: "publish" }>): Promise<Published> {
  let wentOnAt = 0;
  const cpu = cpuTime();
  const source = readSource(tokens, tokensPerWrite, hold, () => (wentOnAt = now()));
  if (peer) await publishStream(peer, id, source, isAlone);
  else await publishLog(isAlone ? local : shared, id, source);
  return { cpu: (cpuTime() - cpu) / tokens, wentOnAt };
}

/** Where a follower stands. */
interface Cursor {
  length: number;
  attempt?: string;
}

/** A follower that has come. */
interface Visit {
  /** Reads until `mayLeave` says so, or to the end. Resolves to whether the end has come. */
  read(mayLeave: () => boolean): Promise<boolean>;
  leave(): Promise<void>;
}

/** Comes, from the beginning or with a cursor. Tries again while there is nothing to follow. */
async function come(id: string, cursor: Cursor): Promise<Visit> {
  /** `behind`: how much comes again because the peer has no cursor. */
  const readWith = async (work: (onText: (length: number) => boolean) => Promise<void>, behind: number, mayLeave: () => boolean) => {
    let hasLeft = false;
    await work((length) => {
      const known = Math.min(behind, length);
      behind -= known;
      cursor.length += length - known;
      return (hasLeft = mayLeave());
    });
    return !hasLeft;
  };
  for (let tries = 0; tries < 500; tries++) {
    if (peer) {
      const found = await peer.follow(id, cursor.length);
      if (found) {
        const behind = found.isFromCursor ? 0 : cursor.length;
        return {
          read: (mayLeave) => readWith((onText) => readStream(found.stream, onText), behind, mayLeave),
          leave: () => found.stream.cancel(),
        };
      }
    } else {
      const log = await shared.follow(keyOf(id), cursor.attempt);
      if (log) {
        cursor.attempt = log.attempt;
        const behind = cursor.length;
        return {
          read: (mayLeave) => readWith((onText) => readLog(log, onText), behind, mayLeave),
          leave: async () => new LogWrites(log, () => "", 0).close(),
        };
      }
    }
    await sleep(10);
  }
  throw new Error(`There is nothing to follow for ${id}.`);
}

async function follow({ id, tokens, followers, returns }: Extract<RelayQuestion, { kind: "follow" }>): Promise<Followed> {
  const { length } = answerText(tokens);
  const cpu = cpuTime();
  let arrivedAt = 0;
  const followOne = async (): Promise<void> => {
    const cursor: Cursor = { length: 0 };
    for (let times = 0; times < (returns === "ten times" ? 10 : 0); times++) {
      const visit = await come(id, cursor);
      await visit.leave();
    }
    const visit = await come(id, cursor);
    arrivedAt = Math.max(arrivedAt, now());
    const isEnded = await visit.read(() => returns === "after the half" && cursor.length > length / 2);
    if (!isEnded) await (await come(id, cursor)).read(() => false);
    if (cursor.length !== length) throw new Error(`${kind} sent ${cursor.length} of ${length} characters.`);
  };
  await sleep(100);
  await Promise.all(Array.from({ length: followers }, followOne));
  return { cpu: (cpuTime() - cpu) / tokens, arrivedAt, endedAt: now() };
}

answerParent(async (question: RelayQuestion): Promise<unknown> => (question.kind === "publish" ? publish(question) : follow(question)));
