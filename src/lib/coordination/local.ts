/** The registry of one process: queues in memory. */
import { settleWithin } from "../core/async.ts";
import type { EntryPolicy, TurnKey } from "../core/coordinator.ts";
import { createStoppedError } from "../core/errors.ts";
import type { EventLog } from "../core/event-log.ts";
import { isSamePrompt } from "../core/prompt.ts";
import { keyOf, type MessageStore, type ThreadKey } from "../core/store.ts";
import { endTimeout, type Entrance, type LocalTurn, type TurnEntry, type TurnRegistry } from "../core/turn-registry.ts";
import { PendingStops } from "./pending-stops.ts";
import { QueuedTurn } from "./queued-turn.ts";

const registries = new WeakMap<MessageStore, LocalRegistry>();

/** The local registry of a store object. Handlers on one store object share it, so that two routes keep one order. */
export function localRegistryOf(store: MessageStore): LocalRegistry {
  const existing = registries.get(store);
  if (existing) return existing;
  const created = new LocalRegistry();
  registries.set(store, created);
  return created;
}

/** The turns of one process. */
export class LocalRegistry implements TurnRegistry {
  readonly #queues = new Map<string, readonly QueuedTurn[]>();
  readonly #pendingStops = new PendingStops();

  /** One function for all turns: a closure for each would stay in every open stream. */
  readonly #remove = (turn: QueuedTurn): void => {
    const key = keyOf(turn.entry);
    const rest = this.#queues.get(key)?.filter((other) => other !== turn) ?? [];
    if (rest.length > 0) this.#queues.set(key, rest);
    else this.#queues.delete(key);
  };

  async enter(entry: TurnEntry, policy: EntryPolicy, local: LocalTurn): Promise<Entrance> {
    const known = this.join(entry);
    if (known) return known;
    const ahead = this.queueOf(entry);
    const isRejected = policy.concurrency === "reject" && ahead.some(({ isJoinable }) => isJoinable);
    if (isRejected || ahead.length > policy.maxQueued) return { kind: "busy" };
    if (policy.concurrency === "interrupt") for (const turn of ahead) turn.local.abort(createStoppedError());
    const ticket = this.add(entry, local);
    if (this.#pendingStops.take(entry)) local.abort(createStoppedError());
    return { kind: "entered", ticket };
  }

  /** The log of a turn with the same key, if that waits or runs here. */
  join(entry: TurnEntry): Entrance | undefined {
    const running = this.get(entry);
    if (!running) return undefined;
    return isSameTurn(running.entry, entry) ? { kind: "joined", log: running.local.log } : { kind: "conflict" };
  }

  /** Puts a turn at the end of its thread's queue. */
  add(entry: TurnEntry, local: LocalTurn): QueuedTurn {
    const ahead = this.queueOf(entry);
    const turn = new QueuedTurn(entry, local, ahead, this.#remove);
    // `concat` allocates one slot, where a spread allocates seventeen in every open stream.
    this.#queues.set(keyOf(entry), ahead.concat(turn));
    return turn;
  }

  /** The turns of a thread in their order. */
  queueOf(thread: ThreadKey): readonly QueuedTurn[] {
    return this.#queues.get(keyOf(thread)) ?? [];
  }

  /** The turn with this key that can be joined. */
  get(key: TurnKey): QueuedTurn | undefined {
    const latest = this.#latest(key);
    return latest?.isJoinable ? latest : undefined;
  }

  #latest(key: TurnKey): QueuedTurn | undefined {
    return this.queueOf(key).findLast(({ entry }) => entry.responseId === key.responseId);
  }

  async follow(key: TurnKey): Promise<EventLog | undefined> {
    const turn = this.#latest(key);
    if (!turn || turn.isJoinable) return turn?.local.log;
    await settleWithin(endTimeout, turn.waitUntilLeft(), undefined);
    return undefined;
  }

  async find(thread: ThreadKey): Promise<string | undefined> {
    return this.queueOf(thread)[0]?.entry.responseId;
  }

  async stop(key: TurnKey): Promise<"stopped" | "none"> {
    const turn = this.#latest(key);
    if (!turn) return "none";
    this.#pendingStops.addDone(key);
    turn.refuseJoins();
    turn.local.abort(createStoppedError());
    await turn.waitUntilLeft();
    return "stopped";
  }

  async stopLater(key: TurnKey): Promise<void> {
    this.#pendingStops.add(key);
  }
}

/** Whether two entries with one response id ask for the same answer. */
function isSameTurn(one: TurnEntry, other: TurnEntry): boolean {
  return one.prompt.id === other.prompt.id && isSamePrompt(one.prompt, other.prompt);
}
