/** The turns that a chat handler can reach, by ids alone: those of its own process and, with a coordinator, those of other instances. */
import type { Coordinator, EntryPolicy, TurnKey } from "./coordinator.ts";
import type { ChatHandlerError } from "./errors.ts";
import type { EventLog } from "./event-log.ts";
import type { Prompt } from "./prompt.ts";
import type { ThreadKey } from "./store.ts";

/** How long a stop, and a resume that meets a turn that is about to end, wait for its end, in milliseconds. */
export const endTimeout: number = 5000;

/** A turn that asks to run. */
export interface TurnEntry extends TurnKey {
  /** Compared with the prompt of a turn that has the same response id. */
  prompt: Prompt;
}

/** The side of a turn that enters on this instance. */
export interface LocalTurn {
  /** Where the turn writes its events. */
  readonly log: EventLog;
  /** Ends the turn early, for this reason. It stores what it has, unless it has lost its lease. */
  abort(reason: ChatHandlerError): void;
  /** Reports an error to the app. */
  report(error: unknown): void;
}

/** The result of {@link TurnRegistry.enter}. */
export type Entrance =
  /** This turn runs or waits already, here or on another instance: read its log. */
  | { kind: "joined"; log: EventLog; isRemote?: boolean }
  /** A turn with this response id answers another prompt. */
  | { kind: "conflict" }
  /** The policy does not let the turn wait. */
  | { kind: "busy" }
  | { kind: "entered"; ticket: QueueTicket };

/** A place in a thread's queue. */
export interface QueueTicket {
  /** How many turns were ahead when it entered. */
  readonly ahead: number;
  /** Resolves when all turns ahead have left or lost their lease. Rejects with a `ChatHandlerError` if the place is lost. */
  waitForLease(): Promise<Lease>;
  /** Ends new joins, for a turn that is about to end early. Its response id can enter again, behind it. */
  refuseJoins(): void;
  /** Ends new joins if no other instance follows the turn. Returns whether it has. */
  refuseJoinsUnlessFollowed(): boolean | Promise<boolean>;
  /** Whether the turn may still write to the store. A turn on one instance always may. */
  mayWrite(): boolean | Promise<boolean>;
  /**
   * Leaves the queue. If the thread was granted, it goes to the next turn. Call it after the log has its end, which comes after the store's
   * commit.
   */
  leave(): void | Promise<void>;
}

/** The right to run a thread's turn, until its ticket leaves. */
export interface Lease {
  /** Whether a turn that was ahead stored its prompt after this one entered: proof that the thread existed meanwhile. */
  readonly hasPredecessorStarted: boolean;
  /** Records that the turn's prompt is stored. */
  markStarted(): void;
}

/**
 * Decides which turn of a thread runs.
 *
 * INVARIANT: of two turns of one thread that enter at the same time, one is ahead of the other.
 * INVARIANT: at most one ticket of a thread is granted and has not left.
 * INVARIANT: tickets are granted in the order in which their turns entered.
 */
export interface TurnRegistry {
  /** Joins the turn with this key, or puts it at the end of its thread's queue, in one atomic step. */
  enter(turn: TurnEntry, policy: EntryPolicy, local: LocalTurn): Promise<Entrance>;
  /**
   * The log of a turn that waits or runs; of one that has ended only with its `attempt`, while it is kept. If another attempt waits or runs instead, a log
   * with that attempt, which may be empty. `undefined` otherwise. Waits a while for a turn that is about to end early: its answer may be stored then.
   *
   * @param attempt - Whose log is wanted. `undefined`: the latest.
   */
  follow(turn: TurnKey, attempt?: string): Promise<EventLog | undefined>;
  /** The response id of the turn that runs on a thread, also if it is about to end; of the first that waits if none runs. */
  find(thread: ThreadKey): Promise<string | undefined>;
  /** Stops a turn. `"requested"`: it has not ended yet, and will soon. `"none"`: no such turn waits or runs. */
  stop(turn: TurnKey): Promise<"stopped" | "requested" | "none">;
  /** Stops a turn that has not come yet: it ends as soon as it enters. Forgotten after a while. */
  stopLater(turn: TurnKey): Promise<void>;
}

/** A {@link Coordinator} that a chat handler can use. Made by `shareTurns` of `chat-handler/coordinator`. */
export interface SharedCoordinator extends Coordinator {
  /** The turns of this process and of the other instances. Not for the app. */
  readonly registry: TurnRegistry;
}
