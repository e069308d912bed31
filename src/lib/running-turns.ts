/**
 * Which turns run, in this process: a request joins one that has its response id, or waits its turn on the thread. The seam
 * where a coordinator shared by several instances can take this one's place.
 */
import type { MessageStore, ThreadKey } from "./store.ts";
import type { Turn } from "./turn.ts";

/** A turn's place in the line of its thread. */
export interface Place {
  /** Resolves when all earlier turns of the thread are over. */
  readonly reached: Promise<void>;
  /** Whether an earlier turn, not itself about to end, is still there. */
  isBusy(): boolean;
  /** How many turns stand before this one. */
  ahead(): number;
  /** Leaves the line and lets the next one come. */
  leave(): void;
}

/** The lines of all threads. */
export interface RunningTurns {
  /** The turn that runs or waits under this response id and is not about to end. */
  find(thread: ThreadKey, responseId: string): Turn | undefined;
  /** Puts a turn at the end of its thread's line. */
  enter(thread: ThreadKey, turn: Turn): Place;
}

interface Waiting {
  turn: Turn;
  reach: () => void;
}

const coordinators = new WeakMap<MessageStore, RunningTurns>();

/** The turns running on a store. Handlers on one store share them, so that two routes keep one order. */
export function runningTurnsOn(store: MessageStore): RunningTurns {
  let turns = coordinators.get(store);
  if (!turns) coordinators.set(store, (turns = createRunningTurns()));
  return turns;
}

/** No turns yet. */
export function createRunningTurns(): RunningTurns {
  // Owner, then thread id: never joined into one string, so that no two keys can meet.
  const owners = new Map<string, Map<string, Waiting[]>>();

  return {
    find({ owner, threadId }, responseId) {
      const line = owners.get(owner)?.get(threadId);
      return line?.find(({ turn }) => turn.responseId === responseId && !turn.isEnding())?.turn;
    },
    enter({ owner, threadId }, turn) {
      const threads = owners.get(owner) ?? new Map<string, Waiting[]>();
      owners.set(owner, threads);
      const line = threads.get(threadId) ?? [];
      threads.set(threadId, line);

      let reach = () => {};
      const reached = new Promise<void>((resolve) => {
        reach = resolve;
      });
      const waiting: Waiting = { turn, reach };
      line.push(waiting);
      if (line.length === 1) reach();

      return {
        reached,
        isBusy: () => line.slice(0, line.indexOf(waiting)).some(({ turn: earlier }) => !earlier.isEnding()),
        ahead: () => line.indexOf(waiting),
        leave() {
          const index = line.indexOf(waiting);
          if (index === -1) return;
          line.splice(index, 1);
          if (index === 0) line[0]?.reach();
          if (line.length > 0) return;
          threads.delete(threadId);
          if (threads.size === 0) owners.delete(owner);
        },
      };
    },
  };
}
