/**
 * The coordinator contract: what a database must guarantee so that turns on many instances keep one order, share one model call, and
 * survive the connection and the instance that they began on.
 *
 * A coordinator is passive, like a store: each method is one atomic call. The handler decides when to call it. It adds order, sharing and
 * economy. The store alone decides which answer counts, so a coordinator that loses everything may cost a second model call, never a lost or
 * duplicated answer.
 *
 * Four invariants bind every method. The kit in `chat-handler/testkit` has cases for each `INVARIANT` below.
 *
 * INVARIANT: every instance sees what a call did as soon as the call resolves.
 * INVARIANT: calls may meet, within a process and between processes. Each is atomic, and none fails only because it met another.
 * INVARIANT: only the database's clock counts, for every instance.
 * INVARIANT: owners and ids are compared exactly, as by a store: see {@link ThreadKey}. What the database cannot hold is refused with an error.
 *
 * A call that fails may have taken effect: calling it again with the same arguments is safe.
 */
import type { ThreadKey } from "./store.ts";

/** Names a turn on every instance: one prompt's answer, however often it is attempted. */
export interface TurnKey extends ThreadKey {
  /** The client's id of the answer. */
  responseId: string;
}

/** Names one attempt at a turn, on one instance. */
export interface TicketKey extends TurnKey {
  /** A random id, new for each attempt. It is the token that fences: nothing is accepted from an attempt that lost its ticket. */
  attempt: string;
}

/** A turn that asks for a place in its thread's queue. */
export interface TicketRequest extends TicketKey {
  /** The id of the prompt. */
  promptId: string;
  /** Equal for equal prompts. At most 128 ASCII characters. */
  promptDigest: string;
}

/** A place in a thread's queue. Plain data. */
export interface Ticket extends TicketRequest {
  /** Where it stands in the queue, in the coordinator's own form. At most 128 ASCII characters. */
  place: string;
}

/** What to do while other turns of the thread run or wait. */
export interface EntryPolicy {
  /** Wait in order; give up; or stop all turns ahead and wait for their end. */
  concurrency: "queue" | "reject" | "interrupt";
  /** Most turns that may wait on one thread. */
  maxQueued: number;
}

/** A reader of a turn on another instance. It counts for `followMs` after each of its calls, or a little longer. */
export interface Follower {
  /** A random id, one for each turn that an instance follows. */
  follower: string;
}

/** How a ticket stands. */
export interface TicketStatus {
  /**
   * `granted`: the turn may run. `waiting`: live turns are ahead. `lost`: it has left, or its lease expired and another turn entered, or was
   * granted, in the meantime. A lost ticket stays lost.
   */
  state: "waiting" | "granted" | "lost";
  /** Whether somebody asked to stop the turn. */
  isStopRequested: boolean;
  /** Whether anyone follows it from another instance. */
  isFollowed: boolean;
  /** Whether a turn that was ahead called {@link Coordinator.start}, for the first time, after this one entered. */
  hasPredecessorStarted: boolean;
  /** The length of the attempt's log. Smaller than what was appended if the database forgot some of it. */
  logLength: number;
}

/** The turn waits or runs already. The caller follows it. */
export interface JoinedEntrance {
  /** Identifies it. */
  kind: "joined";
  /** The attempt that waits or runs. */
  attempt: string;
}

/** The turn has a place in the queue. */
export interface EnteredEntrance {
  /** Identifies it. */
  kind: "entered";
  /** Its place. */
  ticket: Ticket;
  /** How many live turns were before it. */
  ahead: number;
  /** How its ticket stands. */
  status: TicketStatus;
}

/** The turn did not enter. */
export interface RefusedEntrance {
  /** `conflict`: a turn with this response id answers another prompt. `busy`: the policy does not let the turn wait. */
  kind: "conflict" | "busy";
}

/** The result of {@link Coordinator.enter}. */
export type CoordinatorEntrance = JoinedEntrance | EnteredEntrance | RefusedEntrance;

/** A piece of a turn's log. */
export interface LogSlice {
  /** Whose log it is. */
  attempt: string;
  /** What follows the position that was asked for, at most {@link maxSliceLength} characters. */
  data: string;
  /** The length of the whole log so far. */
  length: number;
  /**
   * `waiting` or `running`: more may come. `closed`: it waits or runs, and nobody can join it any more, because it is about to end. `ended`: the log
   * is whole. `lost`: the attempt's lease expired without an end; nothing comes any more, unless the ticket lives on.
   */
  state: "waiting" | "running" | "closed" | "ended" | "lost";
}

/** The most characters that one {@link Coordinator.read} returns. */
export const maxSliceLength: number = 256 * 1024;

/** How a ticket of the thread stands has changed: it was granted, stopped or followed. An entry or an end that changes no other ticket needs no hint. */
export interface ThreadHint {
  /** Identifies it. */
  type: "thread";
  /** The attempt, if all that changed is that somebody follows it. It can send its text at once, and need not look first. */
  followed?: string;
}

/** The log of an attempt has grown, or has ended. */
export interface LogHint {
  /** Identifies it. */
  type: "log";
  /** Whose log it is. */
  attempt: string;
  /** Where the piece begins. */
  position: number;
  /** The piece; `""` if it must be read. */
  data: string;
  /** Whether the log has its end. */
  isEnded: boolean;
}

/**
 * A hint that something changed. Hints may be lost, late, doubled and out of order: they only make a reader look sooner. A hint comes no
 * sooner than its change can be read. Hints of a log may be left out while nobody follows it.
 */
export type CoordinatorHint = ThreadHint | LogHint;

/** How often a coordinator is called, and for how long it keeps what. Times are in milliseconds. */
export interface CoordinatorSettings {
  /** A ticket lives for this long without {@link Coordinator.renew}. The instance that renews it decides: others may have another setting. */
  readonly leaseMs: number;
  /** An ended log, and a stop that met no turn, are kept for this long. */
  readonly retentionMs: number;
  /** A follower counts for this long after its last `enter` or `read`. */
  readonly followMs: number;
  /** Between two looks at a ticket that waits, or runs without hints. Hints make them sooner. With hints, one that runs is looked at more rarely. */
  readonly ticketPollMs: number;
  /** Between two looks at a log that is followed. Hints make them sooner. */
  readonly logPollMs: number;
  /** Between two appends to one log. */
  readonly flushMs: number;
  /** What a new turn does when it cannot enter: run without the coordinator, in the order of its own process, or fail with 503. */
  readonly whenUnreachable: "local" | "refuse";
  /** What a running turn does when its lease cannot be renewed: finish, and let the store decide, or abort before the lease ends. */
  readonly whenUnrenewed: "finish" | "abort";
}

/**
 * Decides which turn of a thread runs, on any number of instances, and carries its log to the others.
 *
 * The log is ASCII text without NUL that only grows. Its positions are characters.
 */
export interface Coordinator {
  /** How often the handler calls it, and for how long it keeps what. */
  readonly settings: CoordinatorSettings;

  /**
   * Joins the turn with this key, or puts it at the end of its thread's queue.
   *
   * INVARIANT: of two turns of one thread that enter at the same time, one is ahead of the other.
   * INVARIANT: a turn joins if an attempt with its response id waits or runs, has not been closed, and answers the same prompt id and digest;
   * with another prompt id or digest it is a conflict. A caller that joins is a follower at once.
   * INVARIANT: with `"reject"`, it is busy while any turn of the thread waits or runs that has not been closed. Otherwise it is busy when more
   * than `maxQueued` live turns are ahead.
   * INVARIANT: with `"interrupt"`, every turn ahead is asked to stop in the same step.
   * INVARIANT: entering again with the same attempt returns the place that it has.
   */
  enter(turn: TicketRequest, policy: EntryPolicy, follower: Follower): Promise<CoordinatorEntrance>;

  /**
   * Extends the lease of a ticket by `leaseMs` from now, and returns how it stands.
   *
   * INVARIANT: at most one ticket of a thread is granted at a time, the first that is live. Tickets are granted in the order in which they
   * entered. An expired ticket never delays the next.
   * INVARIANT: an expired ticket lives on only if no other turn has entered its thread since, or was granted, and it has not left. Otherwise
   * it is lost for ever. A database may forget that `retentionMs` and `leaseMs` after the last turn of the thread.
   * INVARIANT: a database that has forgotten everything accepts a ticket again, at its old place. No method reports it as lost.
   */
  renew(ticket: Ticket): Promise<TicketStatus>;

  /** Returns how a ticket stands. Extends nothing. An expired ticket that is not lost stands as if it were renewed, unless any turn is ahead. */
  check(ticket: Ticket): Promise<TicketStatus>;

  /** Records that the turn's prompt is stored: see {@link TicketStatus.hasPredecessorStarted}. Returns how the ticket stands. */
  start(ticket: Ticket): Promise<TicketStatus>;

  /**
   * Adds to the log of an attempt. Returns how its ticket stands: nothing is added unless it is granted.
   *
   * INVARIANT: a log only grows, and never after its end. An append at a position that the log has passed adds only what is missing; one
   * that would leave a gap is rejected with an error, and so is such an end.
   */
  append(ticket: Ticket, position: number, data: string): Promise<TicketStatus>;

  /**
   * Ends new joins to an attempt that is about to end early. Its response id can enter again, behind it. With `unlessFollowed`, only if nobody
   * follows it from another instance. Returns whether it is closed.
   *
   * INVARIANT: of an `enter` that joins and a `close` with `unlessFollowed` at the same time, one wins: a turn that was joined is not closed.
   */
  close(ticket: Ticket, options?: { unlessFollowed?: boolean }): Promise<boolean>;

  /**
   * Adds the last piece of the log, ends it, and leaves the queue. Called after the store's commit. Returns whether the attempt still had its ticket.
   * A ticket that is lost changes nothing. An end that is repeated after it took effect changes nothing, and may return `false`.
   *
   * INVARIANT: an end is final. The next turn is granted at once. The log stays readable for `retentionMs`.
   *
   * @param options - With `hasStarted`, the start is recorded first, as by {@link Coordinator.start}: that call may have failed, or be under way.
   */
  end(ticket: Ticket, position: number, data: string, options?: { hasStarted?: boolean }): Promise<boolean>;

  /**
   * Reads the log of a turn from a position. The follower counts while the attempt waits or runs.
   *
   * @param attempt - The attempt whose log is read. `undefined`: the latest one.
   * @param follower - Who follows the turn. `undefined`: nobody, so the read keeps nothing running. It only shows how the attempt stands.
   * @returns `undefined` for a turn or attempt that is unknown, or whose log is no longer kept.
   */
  read(turn: TurnKey, attempt: string | undefined, position: number, follower?: Follower): Promise<LogSlice | undefined>;

  /** Ends the reading of a follower before `followMs` have passed. */
  unfollow(ticket: TicketKey, follower: Follower): Promise<void>;

  /**
   * Stops a turn, on any instance. `"requested"`: the turn waits or runs, and receives the stop. `"ended"`: it has ended, and nothing is left to stop.
   * `"recorded"`: there is no such turn yet; if it enters within `retentionMs`, it enters with a stop.
   *
   * INVARIANT: a stop persists until its turn has ended, and is gone then: the next attempt at the turn runs. If the stopped attempt dies, the
   * next one enters with the stop. An attempt that enters behind a stopped and closed one runs.
   */
  stop(turn: TurnKey): Promise<"requested" | "ended" | "recorded">;

  /** Returns the response id of the turn that runs on a thread, closed or not; of the first that waits if none runs; otherwise `undefined`. */
  find(thread: ThreadKey): Promise<string | undefined>;

  /**
   * Calls a listener for the hints of a thread: `"thread"` hints, or `"log"` hints. Returns a function that ends it. Absent if the
   * database cannot push: then polling finds everything. A log that nobody follows need not be pushed, so read it first.
   *
   * @param onSubscribed - Called once the subscription is in effect, if that takes a while: hints from before then were lost. A coordinator that
   * never calls it only makes a reader find those changes later.
   */
  subscribe?(
    thread: ThreadKey,
    type: CoordinatorHint["type"],
    listener: (hint: CoordinatorHint) => void,
    onSubscribed?: () => void,
  ): () => void;
}

/** The methods of a {@link Coordinator}. */
export const coordinatorMethods: readonly Exclude<keyof Coordinator, "settings" | "subscribe">[] = [
  "enter",
  "renew",
  "check",
  "start",
  "append",
  "close",
  "end",
  "read",
  "unfollow",
  "stop",
  "find",
];
