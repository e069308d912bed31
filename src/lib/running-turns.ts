/**
 * Which turns run, in this process: a request joins one that has its response id, or waits its turn on the thread. The seam
 * where a coordinator shared by several instances can take this one's place.
 */
import type { MessageStore, ThreadKey } from "./store.ts";
import type { Turn } from "./turn.ts";

/** The lines of all threads. */
export interface RunningTurns {
  /** The turn that runs or waits under this response id and is not about to end. */
  find(thread: ThreadKey, responseId: string): Turn | undefined;
  /** Puts a turn at the end of its thread's line, until it is over, and returns the turns before it. */
  enter(thread: ThreadKey, turn: Turn): Turn[];
}

const coordinators = new WeakMap<MessageStore, RunningTurns>();

/** The turns running on a store. Handlers on one store share them, so that two routes keep one order. */
export function runningTurnsOn(store: MessageStore): RunningTurns {
  let turns = coordinators.get(store);
  if (!turns) coordinators.set(store, (turns = createRunningTurns()));
  return turns;
}

function createRunningTurns(): RunningTurns {
  const lines = new Map<string, Set<Turn>>();
  // As JSON, no two pairs of strings meet in one key.
  const keyOf = ({ owner, threadId }: ThreadKey) => JSON.stringify([owner, threadId]);

  return {
    find(thread, responseId) {
      for (const turn of lines.get(keyOf(thread)) ?? []) if (turn.responseId === responseId && !turn.isEnding()) return turn;
      return undefined;
    },
    enter(thread, turn) {
      const key = keyOf(thread);
      const line = lines.get(key) ?? new Set();
      const ahead = [...line];
      lines.set(key, line.add(turn));
      void turn.over.then(() => {
        line.delete(turn);
        if (line.size === 0) lines.delete(key);
      });
      return ahead;
    },
  };
}
