/**
 * One side of many streams at once, whose text the parent writes piece by piece: so it can measure what Redis or PostgreSQL holds for them in the
 * meantime. Publishes them, or follows those of another process.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { createMemoryStore } from "../../../src/index.ts";
import { localRegistryOf } from "../../../src/lib/coordination/local.ts";
import { EventLog } from "../../../src/lib/core/event-log.ts";
import type { QueueTicket, TurnRegistry } from "../../../src/lib/core/turn-registry.ts";
import { answerParent } from "../child.ts";
import { createCoordinator } from "./connect.ts";
import { keyOf, readLog, readStream } from "./logs.ts";
import { connectPeer, type Kind } from "./peers.ts";

/** The requests of the parent. */
export type StorageQuestion =
  /** Publishes streams with these ids. */
  | { kind: "open"; ids: string[] }
  /** Adds this text to each stream of this process. */
  | { kind: "write"; text: string }
  /** Follows streams of another process. Resolves when each is found. */
  | { kind: "follow"; ids: string[] }
  /** Resolves when the followers have received this many characters in all. */
  | { kind: "waitFor"; characters: number }
  /** Ends all streams of this process. Resolves when nothing is left to send. */
  | { kind: "end" };

/** A stream of this process. */
interface Source {
  write(text: string): void;
  end(): Promise<unknown>;
}

const [kindName = "none", url = ""] = process.argv.slice(2);
const kind = kindName as Kind;
const peer = await connectPeer(kind, url);
const registry: TurnRegistry = createCoordinator(kind, url)?.registry ?? localRegistryOf(createMemoryStore());

let sources: Source[] = [];
let received = 0;

async function openLog(id: string): Promise<Source> {
  const log = new EventLog({ onAbandoned() {} });
  const fail = (error: unknown): never => {
    throw error;
  };
  const entry = { ...keyOf(id), prompt: { id, role: "user" as const, content: "Hi" } };
  const entrance = await registry.enter(entry, { concurrency: "queue", maxQueued: 0 }, { log, abort: fail, report: fail });
  if (entrance.kind !== "entered") throw new Error(`Not entered: ${entrance.kind}`);
  const ticket: QueueTicket = entrance.ticket;
  (await ticket.waitForLease()).markStarted();
  const read = readLog(log, () => false);
  return {
    write: (text) => log.append({ type: "text", text }),
    end() {
      log.append({ type: "end", status: "complete" });
      return Promise.all([read, ticket.leave()]);
    },
  };
}

async function openStream(id: string): Promise<Source> {
  const { publish, chunks } = peer!;
  const encoder = new TextEncoder();
  let controller: ReadableStreamDefaultController<unknown> | undefined;
  const stream = await publish(id, () => new ReadableStream({ start: (started) => void (controller = started) }));
  const read = readStream(stream, () => false);
  return {
    write: (text) => controller?.enqueue(chunks === "text" ? text : encoder.encode(text)),
    end() {
      controller?.close();
      return read;
    },
  };
}

/** Follows a stream to its end, in the background. Tries again while there is nothing to follow. */
async function follow(id: string): Promise<void> {
  const count = (length: number): boolean => {
    received += length;
    return false;
  };
  for (let tries = 0; tries < 500; tries++) {
    const found = peer ? (await peer.follow(id, 0))?.stream : await registry.follow(keyOf(id));
    if (found) return void (found instanceof EventLog ? readLog(found, count) : readStream(found, count)).catch(() => {});
    await sleep(10);
  }
  throw new Error(`There is nothing to follow for ${id}.`);
}

answerParent(async (question: StorageQuestion): Promise<unknown> => {
  switch (question.kind) {
    case "open":
      sources = await Promise.all(question.ids.map(peer ? openStream : openLog));
      return undefined;
    case "write":
      for (const source of sources) source.write(question.text);
      return undefined;
    case "follow":
      received = 0;
      return Promise.all(question.ids.map(follow));
    case "waitFor":
      while (received < question.characters) await sleep(20);
      return undefined;
    case "end":
      return void (await Promise.all(sources.map((source) => source.end())));
  }
});
