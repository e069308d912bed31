/** Rules for the queue: turns run in their order, one at a time, and a turn that lost its place does nothing any more. */
import type { CoordinatorEntrance, EntryPolicy, TicketRequest, TicketStatus, TurnKey } from "../../../src/lib/core/coordinator.ts";
import type { ThreadKey } from "../../../src/index.ts";
import { isSame, nameOf } from "../records.ts";
import type { Instance } from "./instance.ts";
import { callTimeout, type Entry, type InstancesLedger, pace, type Run } from "./ledger.ts";

/** The rules. */
export interface QueueRules {
  /** Names what a call is about, for the trace. */
  label(argument: unknown): string;
  /** A call is sent. */
  sent(instance: Instance, method: string, argument: unknown): void;
  /** An entry takes effect. */
  entered(instance: Instance, turn: TurnKey & { attempt: string }, policy: EntryPolicy, result: CoordinatorEntrance): void;
  /** A stop takes effect. */
  stopped(turn: TurnKey): void;
  /** A call for a ticket is answered. If not in time, its instance may have given up. */
  answered(ticket: { attempt: string }, method: string, status: TicketStatus, sentAt: number, isInTime: boolean): void;
  /** An entrance is answered, so many milliseconds after it was asked for. */
  entranceAnswered(instance: Instance, turn: TicketRequest, policy: EntryPolicy, result: CoordinatorEntrance, waited: number): void;
  /** An end is answered, or a close, with whether the ticket is closed. */
  endAnswered(ticket: { attempt: string }): void;
  closeAnswered(ticket: { attempt: string }, isClosed: boolean): void;
  /** A call settles. */
  settled(instance: Instance, method: string, argument: unknown): void;
  /** A call fails. */
  failed(instance: Instance, argument: unknown): void;
  /** A run calls the model for the first time. Returns its entry. */
  runStarts(instance: Instance, thread: ThreadKey, responseId: string): Entry | undefined;
  /** A run writes its answer to the store. */
  answerWritten(instance: Instance, token: string | undefined): void;
  /** Checks what must be true after each step. */
  check(): void;
}

/** Within this time a change at the coordinator reaches the instance of a turn, even if its hint is lost. */
const noticedWithin = 2 * pace.ticketPollMs + 2 * callTimeout;

/** Within this time an end that failed is sent again. */
const endAgainWithin = 2 * callTimeout + pace.leaseMs / 40 + 20;

export function createQueueRules(ledger: InstancesLedger): QueueRules {
  const { entries, requests, runs, clock, schedule, plan, check, now, entryOf } = ledger;

  /** The threads of instances whose entry is under way. */
  const entering = new Set<string>();
  const entryKey = (instance: Instance, { owner, threadId }: ThreadKey) => nameOf({ owner, threadId }, String(instance.number));

  const isHealthy = () => !ledger.hasFault && !ledger.hasStoreFault;
  const name = ({ thread, responseId }: Entry) => nameOf(thread, responseId);
  /** Entries whose turns may be at work. */
  const liveAhead = (entry: Entry) =>
    entries
      .slice(0, entries.indexOf(entry))
      .filter((other) => isSame(other.thread, entry.thread) && !other.isOver && !other.instance.isDead);

  const isOpen = (run: Run) => run.calls.some(({ isOpen, isFinished }) => isOpen && !isFinished) && !run.process.isDead;

  const checkReaders = (run: Run) => {
    const { thread, responseId } = run;
    const isRead = ledger.requests.some(
      (request) =>
        request.kind !== "stop" &&
        // A resume of whatever runs does not name it before it is answered.
        (request.responseId === responseId || request.responseId === "") &&
        isSame(request.thread, thread) &&
        !request.instance.isDead &&
        !request.hasDisconnected &&
        !request.outcome,
    );
    if (isRead) run.readAt = clock.time;
    if (plan.disconnect === "continue") return;
    const grace = plan.disconnect === "stop" ? 0 : plan.disconnect.graceMs;
    const bound = grace + noticedWithin + (ledger.hasCrash ? pace.followMs : 0);
    check(clock.time - run.readAt <= bound, "a turn that nobody reads on any instance ends", () => nameOf(thread, responseId));
  };

  const checkGranted = (entry: Entry) => {
    const { instance, thread } = entry;
    if (entry.isOver || entry.grantedAt !== undefined || instance.isDead || liveAhead(entry).length > 0) return;
    const ahead = entries.slice(0, entries.indexOf(entry)).filter((other) => isSame(other.thread, thread));
    const deaths = ahead.map(({ isOver, instance: other }) => (isOver ? 0 : other.diedAt));
    const freeAt = Math.max(entry.enteredAt.ms, ...ahead.map(({ overAt }) => overAt ?? 0), ...deaths.map((at) => at + pace.leaseMs));
    check(clock.time <= freeAt + noticedWithin, "a thread is free when its turn ends, or within the lease of a crashed instance", () =>
      name(entry),
    );
  };

  /** The runs that an entrance must have ended in this step. */
  let interrupted: Run[] = [];

  const checkEnd = (entry: Entry) => {
    const { instance, isUnwanted, isOver, isKnown, overAt = Infinity, endSentAt, isEndAnswered } = entry;
    if (instance.isDead || instance.isFrozen) return;
    check(isOver || !isUnwanted, "an entry that its instance does not want any more is given back", () => name(entry));
    if (isEndAnswered || !isKnown || instance.wasFrozen) return;
    const sentAgainBy = endSentAt + endAgainWithin;
    const mustSend = sentAgainBy < overAt + pace.leaseMs;
    check(!mustSend || clock.time <= sentAgainBy, "an end that fails is sent again, until the lease ends", () => name(entry));
  };

  return {
    label(argument) {
      const { threadId = "", responseId = "", attempt } = argument as Partial<TurnKey> & { attempt?: string };
      const number = attempt === undefined ? -1 : entries.findIndex(({ token }) => token === attempt);
      return `${threadId} ${responseId}${number === -1 ? "" : ` #${number}`}`;
    },

    sent(instance, method, argument) {
      const entry = entryOf((argument as { attempt?: string }).attempt ?? "");
      if (method === "enter") {
        const key = entryKey(instance, argument as ThreadKey);
        check(
          !entering.has(key) || !isHealthy(),
          "the turns of a thread enter in the order in which they came to their instance",
          () => key,
        );
        entering.add(key);
      }
      if (!entry) return;
      if (method === "close") entry.isClosing = true;
      if (method === "end") {
        entry.isOver = true;
        entry.overAt ??= clock.time;
        entry.endSentAt = clock.time;
      }
      if (method === "renew" || method === "enter") entry.unansweredAt = instance.now;
    },

    entered(instance, { owner, threadId, responseId, attempt }, { concurrency }, result) {
      if (result.kind !== "entered" || entryOf(attempt)) return;
      const thread = { owner, threadId };
      if (concurrency === "interrupt") {
        for (const other of entries) if (isSame(other.thread, thread) && !other.isOver) other.stopAt ??= clock.time;
      }
      entries.push({
        token: attempt,
        thread,
        responseId,
        instance,
        enteredAt: now(),
        isKnown: false,
        isOver: false,
        overAt: undefined,
        stopAt: undefined,
        grantedAt: undefined,
        toldLostAt: undefined,
        isUnwanted: false,
        isClosing: false,
        endSentAt: Infinity,
        isEndAnswered: false,
        renewedAt: instance.now,
        unansweredAt: -Infinity,
        answeredAt: instance.now,
        wasUnreachable: false,
      });
    },

    stopped({ owner, threadId, responseId }) {
      const isIt = (turn: { responseId: string; thread: ThreadKey }) =>
        turn.responseId === responseId && isSame(turn.thread, { owner, threadId });
      const attempts = entries.filter(isIt);
      const open = attempts.filter(({ isOver }) => !isOver);
      const isNamed = requests.some((request) => request.kind === "stop" && isIt(request));
      // Between the two calls of a stop, the turn that ran may have ended and come again.
      const ahead = attempts.length > open.length ? [] : open.slice(0, 1).flatMap(liveAhead);
      check(
        isNamed || ahead.length === 0 || !isHealthy(),
        "a stop without a response id stops no turn that waits for another",
        () => `${nameOf({ owner, threadId }, responseId)} waits for ${ahead.map(name).join()}`,
      );
      for (const entry of open) entry.stopAt ??= clock.time;
    },

    answered({ attempt }, method, { state }, sentAt, isInTime) {
      const entry = entryOf(attempt);
      if (!entry) return;
      if (state === "granted") entry.grantedAt ??= clock.time;
      if (!isInTime) return;
      if (state === "lost") entry.toldLostAt ??= schedule.step;
      entry.answeredAt = entry.instance.now;
      if (method === "enter") entry.isKnown = true;
      if (method !== "renew" && method !== "enter") return;
      entry.renewedAt = Math.max(entry.renewedAt, sentAt);
      if (entry.unansweredAt <= sentAt) entry.unansweredAt = -Infinity;
    },

    entranceAnswered(instance, { owner, threadId, attempt }, { concurrency }, { kind }, waited) {
      const entry = entryOf(attempt);
      if (entry && waited > callTimeout && !instance.wasFrozen) entry.isUnwanted = true;
      if (kind !== "entered" || concurrency !== "interrupt" || waited >= callTimeout) return;
      interrupted = runs.filter((run) => run.process === instance && isSame(run.thread, { owner, threadId }) && isOpen(run));
    },

    endAnswered({ attempt }) {
      const entry = entryOf(attempt);
      if (entry) entry.isEndAnswered = true;
    },

    closeAnswered({ attempt }, isClosed) {
      const entry = entryOf(attempt);
      if (entry) entry.isClosing = isClosed;
    },

    settled(instance, method, argument) {
      if (method === "enter") entering.delete(entryKey(instance, argument as ThreadKey));
    },

    failed(instance, argument) {
      const entry = entryOf((argument as { attempt?: string }).attempt ?? "");
      if (!entry) return;
      entry.unansweredAt = instance.now;
    },

    runStarts(instance, thread, responseId) {
      const own = entries.filter(
        (other) =>
          other.instance === instance &&
          other.responseId === responseId &&
          isSame(other.thread, thread) &&
          !other.isOver &&
          other.toldLostAt === undefined,
      );
      const entry = own.findLast(({ grantedAt }) => grantedAt !== undefined) ?? own.at(-1);
      const isAlone = !entry?.isKnown || entry.wasUnreachable;
      check(entry?.grantedAt !== undefined || isAlone, "a turn waits until the coordinator lets it run", () => nameOf(thread, responseId));
      check(entry || ledger.hasFault, "every turn enters the queue", () => nameOf(thread, responseId));
      if (!entry || !isHealthy()) return entry;
      const ahead = liveAhead(entry).map(name);
      check(
        ahead.length === 0,
        "turns of a thread run one at a time, in the order in which they entered",
        () => `${name(entry)} runs before ${ahead.join()}`,
      );
      return entry;
    },

    answerWritten(instance, token) {
      const entry = token === undefined ? undefined : entryOf(token);
      if (!entry?.isKnown) return;
      const isTold = entry.toldLostAt !== undefined;
      check(!isTold, "an instance that was told that it lost its lease writes nothing", () => name(entry));
      const isFresh = instance.now - entry.renewedAt <= pace.leaseMs;
      const isExcused = instance.now - entry.unansweredAt <= pace.leaseMs;
      check(isFresh || isExcused, "an instance checks its lease before it writes", () => name(entry));
    },

    check() {
      for (const run of interrupted)
        check(!isOpen(run), "a turn that enters interrupts the turns of its own instance at once", () =>
          nameOf(run.thread, run.responseId),
        );
      interrupted = [];
      for (const entry of entries) {
        entry.wasUnreachable ||= entry.instance.now - entry.answeredAt > pace.leaseMs;
        checkEnd(entry);
      }
      if (!isHealthy()) return;
      for (const run of runs) {
        if (!isOpen(run)) continue;
        checkReaders(run);
        const { stopAt } = run.entry ?? {};
        check(stopAt === undefined || clock.time - stopAt <= noticedWithin, "a stop ends the model call", () =>
          nameOf(run.thread, run.responseId),
        );
      }
      for (const entry of entries) {
        checkGranted(entry);
        const { instance, overAt, isEndAnswered } = entry;
        const isEnding = overAt !== undefined && !isEndAnswered && !instance.isDead;
        check(!isEnding || clock.time - overAt <= noticedWithin, "the end of a turn takes effect", () => name(entry));
      }
    },
  };
}
