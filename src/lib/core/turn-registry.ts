/** The turns of this process, as a chat handler sees them: by ids alone, wherever they run. */
import type { EntryPolicy, TurnKey } from "./coordinator.ts";
import type { EventLog } from "./event-log.ts";
import type { Prompt } from "./prompt.ts";

/** A turn that asks to run. */
export interface TurnEntry extends TurnKey {
  /** Compared with the prompt of a turn that has the same response id. */
  prompt: Prompt;
}

/** The local side of a turn that enters. */
export interface LocalTurn {
  /** Where the turn writes its events. */
  readonly log: EventLog;
  /** Stops the turn. */
  stop(): void;
}

/** The result of {@link TurnRegistry.enter}. */
export type Entrance =
  /** This turn runs or waits already: follow it. */
  | { kind: "joined" }
  /** A turn with this response id answers another prompt. */
  | { kind: "conflict" }
  /** The policy does not let the turn wait. */
  | { kind: "busy" }
  | { kind: "entered"; ticket: Ticket };

/** A place in a thread's queue. */
export interface Ticket {
  /** How many turns were ahead when it entered. */
  readonly ahead: number;
  /** Resolves when all turns ahead have left or lost their lease. Never rejects. */
  waitForLease(): Promise<Lease>;
  /** Ends new joins, for a turn that is about to end early. Its response id can enter again, behind it. */
  refuseJoins(): void;
  /**
   * Leaves the queue. If the thread was granted, it goes to the next turn. Call it after the log has its end, which comes after the store's
   * commit.
   */
  leave(): void;
}

/** The right to run a thread's turn, until its ticket leaves. */
export interface Lease {
  /** Whether a turn that was ahead stored its prompt after this one entered: proof that the thread existed meanwhile. */
  readonly hasPredecessorStarted: boolean;
  /** Records that the turn's prompt is stored. */
  markStarted(): void;
}

/**
 * Decides which turn of a thread runs, by ids alone.
 *
 * INVARIANT: of two turns of one thread that enter at the same time, one is ahead of the other.
 * INVARIANT: at most one ticket of a thread is granted and has not left.
 * INVARIANT: tickets are granted in the order in which their turns entered.
 */
export interface TurnRegistry {
  /** Joins the turn with this key, or puts it at the end of its thread's queue, in one atomic step. */
  enter(turn: TurnEntry, policy: EntryPolicy, local: LocalTurn): Promise<Entrance>;
  /** The log of a turn that waits or runs, on any instance. `undefined` for a turn that has ended or never entered. */
  follow(turn: TurnKey): Promise<EventLog | undefined>;
  /** Stops a turn. `"requested"`: it runs elsewhere and stops soon. `"none"`: no such turn waits or runs. */
  stop(turn: TurnKey): Promise<"stopped" | "requested" | "none">;
}
