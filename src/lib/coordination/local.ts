/** The registry of one process: queues in memory. */
import type { TurnKey } from "../core/coordinator.ts";
import type { TurnEntry, TurnRegistry } from "../core/turn-registry.ts";
import { isSamePrompt } from "../core/prompt.ts";
import { keyOf, type MessageStore } from "../core/store.ts";
import { QueuedTurn } from "./queued-turn.ts";

const registries = new WeakMap<MessageStore, TurnRegistry>();

/** The local registry of a store object. Handlers on one store object share it, so that two routes keep one order. */
export function localRegistryOf(store: MessageStore): TurnRegistry {
  const existing = registries.get(store);
  if (existing) return existing;
  const created = createLocalRegistry();
  registries.set(store, created);
  return created;
}

/** Creates a registry for the turns of one process. */
export function createLocalRegistry(): TurnRegistry {
  const queues = new Map<string, QueuedTurn[]>();

  function find(key: TurnKey): QueuedTurn | undefined {
    return queues.get(keyOf(key))?.find(({ entry, isJoinable }) => isJoinable && entry.responseId === key.responseId);
  }

  function remove(turn: QueuedTurn): void {
    const key = keyOf(turn.entry);
    const rest = queues.get(key)?.filter((other) => other !== turn) ?? [];
    if (rest.length > 0) queues.set(key, rest);
    else queues.delete(key);
  }

  return {
    async enter(entry, { concurrency, maxQueued }, local) {
      const running = find(entry);
      if (running) return { kind: isSameTurn(running.entry, entry) ? "joined" : "conflict" };
      const key = keyOf(entry);
      const ahead = queues.get(key) ?? [];
      const isRejected = concurrency === "reject" && ahead.some(({ isJoinable }) => isJoinable);
      if (isRejected || ahead.length > maxQueued) return { kind: "busy" };
      const turn = new QueuedTurn(entry, local, ahead, remove);
      // `concat` allocates one slot, where a spread allocates seventeen in every open stream.
      queues.set(key, ahead.concat(turn));
      return { kind: "entered", ticket: turn };
    },

    async follow(key) {
      return find(key)?.local.log;
    },

    async stop(key) {
      const turn = find(key);
      if (!turn) return "none";
      turn.refuseJoins();
      turn.local.stop();
      await turn.waitUntilLeft();
      return "stopped";
    },
  };
}

/** Whether two entries with one response id ask for the same answer. */
function isSameTurn(one: TurnEntry, other: TurnEntry): boolean {
  return one.prompt.id === other.prompt.id && isSamePrompt(one.prompt, other.prompt);
}
