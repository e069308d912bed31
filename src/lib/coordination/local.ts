/**
 * Which turns run, in this process: a request joins one that has its response id, or waits its turn on the thread. The seam
 * where a coordinator shared by several instances can take this one's place.
 */
import type { TurnContext } from "../chat/options.ts";
import { keyOf, type MessageStore } from "../core/store.ts";
import type { Turn } from "../turn/turn.ts";

/** The lines of all threads. */
export interface RunningTurns {
  /** The turn that runs or waits under this response id and is not about to end. */
  find(context: TurnContext): Turn | undefined;
  /** Puts a turn at the end of its thread's line, and returns the turns before it. */
  enter(turn: Turn): readonly Turn[];
  /** Takes a turn out of its thread's line. */
  leave(turn: Turn): void;
}

const coordinators = new WeakMap<MessageStore, RunningTurns>();

/** The turns running on a store. Handlers on one store share them, so that two routes keep one order. */
export function runningTurnsOn(store: MessageStore): RunningTurns {
  let turns = coordinators.get(store);
  if (!turns) coordinators.set(store, (turns = createRunningTurns()));
  return turns;
}

function createRunningTurns(): RunningTurns {
  const lines = new Map<string, readonly Turn[]>();

  return {
    find: (context) => lines.get(keyOf(context))?.find((turn) => turn.responseId === context.responseId && !turn.reason),
    enter(turn) {
      const key = keyOf(turn.thread);
      const ahead = lines.get(key) ?? [];
      lines.set(key, ahead.concat(turn)); // of just the length it needs
      return ahead;
    },
    leave(turn) {
      const key = keyOf(turn.thread);
      const left = lines.get(key)?.filter((other) => other !== turn);
      if (left?.length) lines.set(key, left);
      else lines.delete(key);
    },
  };
}
