/** Stops that come before their turn. */
import type { TurnKey } from "../core/coordinator.ts";

/** How long a stop waits for its turn, in milliseconds. */
const retention = 120_000;
/** Most stops of one owner that wait. The oldest gives way: nobody can fill the memory, and no owner touches another's stops. */
const maxOfOwner = 1000;

interface Stop {
  /** By `performance.now()`. */
  forgottenAt: number;
  /** Whether it has stopped its turn. Kept to ignore the same stop when it is sent again: it must not stop the next attempt. */
  isDone: boolean;
}

/** Remembers stops for a while. */
export class PendingStops {
  /** By owner and then by turn, in the order in which they came. The owner of the newest stop is the last one. */
  readonly #owners = new Map<string, Map<string, Stop>>();

  /** Remembers a stop, unless it has stopped its turn already. */
  add(turn: TurnKey): void {
    this.#forgetOld();
    if (!this.#find(turn)) this.#set(turn, false);
  }

  /** Remembers that a stop has stopped its turn. */
  addDone(turn: TurnKey): void {
    this.#forgetOld();
    this.#set(turn, true);
  }

  /** Returns whether a stop waits for this turn. It is done then. */
  take(turn: TurnKey): boolean {
    if (this.#owners.size === 0) return false;
    this.#forgetOld();
    const stop = this.#find(turn);
    if (!stop || stop.isDone) return false;
    stop.isDone = true;
    return true;
  }

  #find(turn: TurnKey): Stop | undefined {
    const stop = this.#owners.get(turn.owner)?.get(keyOfTurn(turn));
    return stop && stop.forgottenAt > performance.now() ? stop : undefined;
  }

  #set(turn: TurnKey, isDone: boolean): void {
    const stops = this.#owners.get(turn.owner) ?? new Map<string, Stop>();
    this.#owners.delete(turn.owner);
    this.#owners.set(turn.owner, stops);
    const key = keyOfTurn(turn);
    stops.delete(key);
    stops.set(key, { forgottenAt: performance.now() + retention, isDone });
    const [oldest] = stops.keys();
    if (stops.size > maxOfOwner && oldest !== undefined) stops.delete(oldest);
  }

  /** Looks at no more than it forgets, and one: the stops of many owners must not cost each turn. */
  #forgetOld(): void {
    const now = performance.now();
    for (const [owner, stops] of this.#owners) {
      for (const [key, { forgottenAt }] of stops) {
        if (forgottenAt > now) return;
        stops.delete(key);
      }
      this.#owners.delete(owner);
    }
  }
}

function keyOfTurn({ threadId, responseId }: TurnKey): string {
  return JSON.stringify([threadId, responseId]);
}
