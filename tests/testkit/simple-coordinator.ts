/** A correct coordinator in memory, plain enough to be broken in one place at a time. Each method is one synchronous step. */
import { keyOf, type ThreadKey } from "../../src/lib/core/store.ts";
import {
  maxSliceLength,
  type Coordinator,
  type CoordinatorHint,
  type CoordinatorSettings,
  type LogSlice,
  type Ticket,
  type TicketStatus,
} from "../../src/lib/core/coordinator.ts";

/** A ticket in the queue. */
export interface Entry extends Ticket {
  leaseUntil: number;
  isClosed: boolean;
  isStopRequested: boolean;
  hasStarted: boolean;
  hasPredecessorStarted: boolean;
  /** Until when each follower counts. */
  followers: Map<string, number>;
}

/** The log of one attempt. */
export interface KeptLog {
  attempt: string;
  text: string;
  isEnded: boolean;
  /** Set once the attempt has left the queue. */
  keptUntil: number;
}

export interface ThreadData {
  lastPlace: number;
  /** In the order of their places. No expired ticket has a live one behind it. */
  queue: Entry[];
  /** The places of the attempts that have left, or were overtaken after they expired. They never come back. */
  left: Map<string, string>;
  /** The logs of each response id, the latest attempt last. */
  logs: Map<string, KeptLog[]>;
  /** Until when a stop waits for each response id. */
  stops: Map<string, number>;
}

interface Subscription {
  thread: string;
  type: CoordinatorHint["type"];
  listener: (hint: CoordinatorHint) => void;
}

/** What a database would hold: instances on the same data are peers. */
export interface CoordinatorData {
  threads: Map<string, ThreadData>;
  subscriptions: Set<Subscription>;
}

export const noCoordinatorData = (): CoordinatorData => ({ threads: new Map(), subscriptions: new Set() });

/** Loses everything, as a database that is flushed. */
export const forgetAll = ({ threads }: CoordinatorData): void => threads.clear();

export interface SimpleCoordinatorOptions extends Partial<CoordinatorSettings> {
  /** The database's clock, in milliseconds. @default Date.now */
  now?: () => number;
  /** Whether there is a `subscribe`. @default true */
  hasHints?: boolean;
}

/** The entries of a queue that are live. They are in front. */
export const liveOf = (queue: readonly Entry[], now: number): Entry[] => queue.filter(({ leaseUntil }) => leaseUntil > now);

export function createSimpleCoordinator(data: CoordinatorData, options: SimpleCoordinatorOptions = {}): Coordinator {
  const { now = Date.now, hasHints = true, ...given } = options;
  const { leaseMs = 10_000 } = given;
  const settings: CoordinatorSettings = {
    ...{ leaseMs, retentionMs: 120_000, followMs: leaseMs, ticketPollMs: 20, logPollMs: 20, flushMs: 10 },
    ...{ whenUnreachable: "local", whenUnrenewed: "finish" },
    ...given,
  };
  const { retentionMs, followMs } = settings;

  function threadOf(key: ThreadKey): ThreadData {
    const name = keyOf(key);
    const thread = data.threads.get(name) ?? { lastPlace: 0, queue: [], left: new Map(), logs: new Map(), stops: new Map() };
    data.threads.set(name, thread);
    forgetOld(thread);
    return thread;
  }

  /** Removes what has expired: logs, stops, followers, and tickets with a live one behind them. */
  function forgetOld(thread: ThreadData): void {
    const time = now();
    for (const [responseId, logs] of thread.logs) {
      const kept = logs.filter(({ keptUntil }) => keptUntil > time);
      if (kept.length > 0) thread.logs.set(responseId, kept);
      else thread.logs.delete(responseId);
    }
    for (const [responseId, until] of thread.stops) if (until <= time) thread.stops.delete(responseId);
    for (const { followers } of thread.queue) for (const [id, until] of followers) if (until <= time) followers.delete(id);
    const lastLive = thread.queue.findLastIndex(({ leaseUntil }) => leaseUntil > time);
    for (const entry of thread.queue.slice(0, Math.max(lastLive, 0))) if (entry.leaseUntil <= time) drop(thread, entry);
  }

  /** Removes an expired entry. Its turn has not ended, so its stop waits for the next attempt. */
  function drop(thread: ThreadData, entry: Entry): void {
    const isLatest = thread.logs.get(entry.responseId)?.at(-1)?.attempt === entry.attempt;
    if (entry.isStopRequested && isLatest) thread.stops.set(entry.responseId, now() + retentionMs);
    remove(thread, entry);
  }

  function remove(thread: ThreadData, entry: Entry): void {
    thread.queue = thread.queue.filter((other) => other !== entry);
    thread.left.set(entry.attempt, entry.place);
    logOf(thread, entry).keptUntil = now() + retentionMs;
  }

  function add(thread: ThreadData, ticket: Ticket): Entry {
    const entry: Entry = {
      ...ticket,
      leaseUntil: now() + leaseMs,
      isClosed: false,
      isStopRequested: thread.stops.delete(ticket.responseId),
      hasStarted: false,
      hasPredecessorStarted: false,
      followers: new Map(),
    };
    thread.queue = [...thread.queue, entry].sort((a, b) => (a.place < b.place ? -1 : 1));
    thread.lastPlace = Math.max(thread.lastPlace, Number(ticket.place));
    logOf(thread, entry);
    return entry;
  }

  function logOf(thread: ThreadData, { responseId, attempt }: Ticket): KeptLog {
    const logs = thread.logs.get(responseId) ?? [];
    const found = logs.find((log) => log.attempt === attempt);
    if (found) return found;
    const log = { attempt, text: "", isEnded: false, keptUntil: Infinity };
    thread.logs.set(responseId, [...logs, log]);
    return log;
  }

  /** The entry of a ticket, unless it is lost. A ticket that this database has never seen is one that it has forgotten. */
  function entryOf(thread: ThreadData, ticket: Ticket): Entry | undefined {
    if (thread.left.has(ticket.attempt)) return undefined;
    return thread.queue.find(({ attempt }) => attempt === ticket.attempt) ?? add(thread, ticket);
  }

  function recordStart(thread: ThreadData, entry: Entry): void {
    if (entry.hasStarted) return;
    entry.hasStarted = true;
    for (const other of thread.queue.slice(thread.queue.indexOf(entry) + 1)) other.hasPredecessorStarted = true;
  }

  function statusOf(thread: ThreadData, entry: Entry | undefined): TicketStatus {
    if (!entry) return { state: "lost", isStopRequested: false, isFollowed: false, hasPredecessorStarted: false, logLength: 0 };
    const { isStopRequested, hasPredecessorStarted } = entry;
    const state = thread.queue[0] === entry ? "granted" : "waiting";
    const logLength = logOf(thread, entry).text.length;
    return { state, isStopRequested, isFollowed: entry.followers.size > 0, hasPredecessorStarted, logLength };
  }

  /** Adds to a log what it does not have yet. */
  function addText(thread: ThreadData, entry: Entry, position: number, text: string, isEnded: boolean): void {
    const log = logOf(thread, entry);
    if (position > log.text.length) throw new Error(`The log has ${log.text.length} characters, so nothing can be added at ${position}`);
    const added = text.slice(log.text.length - position);
    const hint = { type: "log", attempt: entry.attempt, position: log.text.length, data: added, isEnded } as const;
    log.text += added;
    log.isEnded = isEnded;
    publish(entry, hint);
  }

  function publish(key: ThreadKey, hint: CoordinatorHint): void {
    const thread = keyOf(key);
    const listeners = [...data.subscriptions].filter((one) => one.thread === thread && one.type === hint.type);
    if (listeners.length > 0) setImmediate(() => listeners.forEach((one) => data.subscriptions.has(one) && one.listener(hint)));
  }

  const coordinator: Coordinator = {
    settings,

    async enter({ owner, threadId, responseId, promptId, promptDigest, attempt }, { concurrency, maxQueued }, { follower }) {
      const turn = { owner, threadId, responseId, promptId, promptDigest, attempt };
      const thread = threadOf(turn);
      const { queue, left } = thread;
      const entered = (entry: Entry) => {
        const { place } = entry;
        return {
          kind: "entered",
          ticket: { ...turn, place },
          ahead: thread.queue.indexOf(entry),
          status: statusOf(thread, entry),
        } as const;
      };
      const place = left.get(attempt);
      if (place !== undefined) return { kind: "entered", ticket: { ...turn, place }, ahead: 0, status: statusOf(thread, undefined) };
      const known = queue.find((entry) => entry.attempt === attempt);
      if (known) return entered(known);

      const live = liveOf(queue, now());
      const same = live.find((entry) => entry.responseId === responseId && !entry.isClosed);
      if (same) {
        if (same.promptId !== promptId || same.promptDigest !== promptDigest) return { kind: "conflict" };
        same.followers.set(follower, now() + followMs);
        publish(turn, { type: "thread" });
        return { kind: "joined", attempt: same.attempt };
      }
      const isRejected = concurrency === "reject" && live.some(({ isClosed }) => !isClosed);
      if (isRejected || live.length > maxQueued) return { kind: "busy" };
      if (concurrency === "interrupt") for (const entry of live) entry.isStopRequested = true;
      for (const entry of queue) if (!live.includes(entry)) drop(thread, entry);
      // Higher than the places that the database gave before it forgot them.
      const next = Math.max(thread.lastPlace + 1, Math.floor(now() * 1000));
      const entry = add(thread, { ...turn, place: String(next).padStart(20, "0") });
      publish(turn, { type: "thread" });
      return entered(entry);
    },

    async renew(ticket) {
      const thread = threadOf(ticket);
      const entry = entryOf(thread, ticket);
      if (entry) entry.leaseUntil = now() + leaseMs;
      forgetOld(thread);
      return statusOf(thread, entry);
    },

    async check(ticket) {
      const thread = threadOf(ticket);
      return statusOf(thread, entryOf(thread, ticket));
    },

    async start(ticket) {
      const thread = threadOf(ticket);
      const entry = entryOf(thread, ticket);
      if (entry) recordStart(thread, entry);
      return statusOf(thread, entry);
    },

    async append(ticket, position, text) {
      const thread = threadOf(ticket);
      const entry = entryOf(thread, ticket);
      if (entry && statusOf(thread, entry).state === "granted") addText(thread, entry, position, text, false);
      return statusOf(thread, entry);
    },

    async close(ticket, { unlessFollowed = false } = {}) {
      const thread = threadOf(ticket);
      const entry = entryOf(thread, ticket);
      if (!entry) return false;
      if (!unlessFollowed || entry.followers.size === 0) entry.isClosed = true;
      return entry.isClosed;
    },

    async end(ticket, position, text, { hasStarted = false } = {}) {
      const thread = threadOf(ticket);
      const entry = entryOf(thread, ticket);
      if (!entry) return false;
      if (hasStarted) recordStart(thread, entry);
      addText(thread, entry, position, text, true);
      remove(thread, entry);
      publish(ticket, { type: "thread" });
      return true;
    },

    async read(turn, attempt, position, reader): Promise<LogSlice | undefined> {
      const thread = threadOf(turn);
      const log = thread.logs.get(turn.responseId)?.findLast((log) => attempt === undefined || log.attempt === attempt);
      if (!log) return undefined;
      const entry = liveOf(thread.queue, now()).find((entry) => entry.attempt === log.attempt);
      if (entry && reader) {
        if (!entry.followers.has(reader.follower)) publish(turn, { type: "thread" });
        entry.followers.set(reader.follower, now() + followMs);
      }
      const open = entry && (thread.queue[0] === entry ? "running" : "waiting");
      const state = entry?.isClosed ? "closed" : (open ?? (log.isEnded ? "ended" : "lost"));
      return { attempt: log.attempt, data: log.text.slice(position, position + maxSliceLength), length: log.text.length, state };
    },

    async unfollow(ticket, { follower }) {
      const entry = threadOf(ticket).queue.find(({ attempt }) => attempt === ticket.attempt);
      if (entry?.followers.delete(follower)) publish(ticket, { type: "thread" });
    },

    async stop(turn) {
      const thread = threadOf(turn);
      const entries = thread.queue.filter(({ responseId }) => responseId === turn.responseId);
      for (const entry of entries) entry.isStopRequested = true;
      publish(turn, { type: "thread" });
      if (entries.length > 0) return "requested";
      if (thread.logs.get(turn.responseId)?.at(-1)?.isEnded) return "ended";
      thread.stops.set(turn.responseId, now() + retentionMs);
      return "recorded";
    },

    async find(key) {
      return liveOf(threadOf(key).queue, now())[0]?.responseId;
    },
  };
  if (!hasHints) return coordinator;
  return {
    ...coordinator,
    subscribe(key, type, listener) {
      const subscription = { thread: keyOf(key), type, listener };
      data.subscriptions.add(subscription);
      return () => void data.subscriptions.delete(subscription);
    },
  };
}
