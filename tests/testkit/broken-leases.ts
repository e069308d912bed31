/** Coordinators whose leases end too late, too early, or only for some; and that forget badly. */
import type { Coordinator, Ticket } from "../../src/lib/core/coordinator.ts";
import { broken, entryOf, logOf, lost, sortQueue, threadOf, type Break, type BrokenCoordinator } from "./broken-coordinators.ts";
import { createSimpleCoordinator, type CoordinatorData, type ThreadData } from "./simple-coordinator.ts";

const ticketMethods = ["renew", "check", "start", "append", "close", "end"] as const;

/** Does something before each call that has a ticket. */
function beforeTickets(good: Coordinator, work: (ticket: Ticket) => void): Partial<Coordinator> {
  const methods = ticketMethods.map((name) => [
    name,
    (...args: [Ticket, ...never[]]) => {
      work(args[0]);
      return Reflect.apply(good[name], good, args);
    },
  ]);
  return Object.fromEntries(methods);
}

/** Takes back that an attempt is lost, unless it has ended. */
const revive = (data: CoordinatorData, ticket: Ticket): void => {
  if (!logOf(data, ticket)?.isEnded) threadOf(data, ticket).left.delete(ticket.attempt);
};

const isKnown = (data: CoordinatorData, ticket: Ticket): boolean =>
  entryOf(data, ticket) !== undefined || threadOf(data, ticket).left.has(ticket.attempt);

/** Threads that were granted to a ticket that had expired. */
const stuck = new WeakSet<ThreadData>();

const byProcessClock: Break = (_, data, options) => createSimpleCoordinator(data, { ...options, now: () => Date.now() });

export const brokenLeases: BrokenCoordinator[] = [
  broken("never ends a lease", "oneGranted", "an expired ticket does not delay the next", (good, data) => {
    const extend = (ticket: Ticket) => threadOf(data, ticket).queue.forEach((entry) => (entry.leaseUntil = Infinity));
    return {
      ...beforeTickets(good, extend),
      enter(turn, ...rest) {
        extend(turn as Ticket);
        return good.enter(turn, ...rest);
      },
    };
  }),
  broken(
    "ends leases only when a turn enters",
    "oneGranted",
    "a renewal is granted at once when the ticket ahead has expired",
    (good, data) => beforeTickets(good, (ticket) => threadOf(data, ticket).queue.forEach((entry) => (entry.leaseUntil = Infinity))),
  ),
  broken(
    "grants the thread to a dead ticket at an end",
    "oneGranted",
    "a waiting ticket that expires does not delay those behind it",
    (good, data) => ({
      async end(ticket, ...rest) {
        const { left } = threadOf(data, ticket);
        const hasDied = [...left].some(([attempt, place]) => place > ticket.place && !logOf(data, { ...ticket, attempt })?.isEnded);
        if (hasDied) stuck.add(threadOf(data, ticket));
        return good.end(ticket, ...rest);
      },
      async check(ticket) {
        const status = await good.check(ticket);
        return status.state === "granted" && stuck.has(threadOf(data, ticket)) ? { ...status, state: "waiting" } : status;
      },
    }),
  ),
  broken(
    "judges leases by the clock of the process",
    "databaseClock",
    "an instance whose clock is behind or ahead judges leases by the database's clock",
    byProcessClock,
  ),
  broken(
    "keeps logs and stops by the clock of the process",
    "databaseClock",
    "an instance whose clock is behind or ahead keeps logs, stops and followers by the database's clock",
    byProcessClock,
  ),
  broken(
    "does not check the expiry of a ticket that is renewed",
    "overtaken",
    "a ticket whose successor was granted, once expired, is lost for ever",
    (good, data) => ({
      renew(ticket) {
        revive(data, ticket);
        return good.renew(ticket);
      },
    }),
  ),
  broken("accepts any ticket that is renewed", "overtaken", "a ticket that has left is lost for ever", (good, data) => ({
    renew(ticket) {
      threadOf(data, ticket).left.delete(ticket.attempt);
      return good.renew(ticket);
    },
  })),
  broken(
    "remembers who lost its ticket until the thread is free",
    "overtaken",
    "a ticket that another turn entered behind, once expired, is lost for ever",
    (good, data) =>
      beforeTickets(good, (ticket) => {
        if (threadOf(data, ticket).queue.length === 0) revive(data, ticket);
      }),
  ),
  broken(
    "appends without looking at the token",
    "fenced",
    "nothing is accepted from an attempt whose turn was attempted again",
    (good, data) => ({
      async append(ticket, position, text) {
        const status = await good.append(ticket, position, text);
        const log = threadOf(data, ticket).logs.get(ticket.responseId)?.at(-1);
        if (status.state === "lost" && log && !log.isEnded) log.text += text.slice(log.text.length - position);
        return status;
      },
    }),
  ),
  broken(
    "ends without looking at the token",
    "fenced",
    "nothing is accepted from an attempt whose turn was attempted again",
    (good, data) => ({
      async end(ticket, position, text) {
        const [entry] = threadOf(data, ticket).queue.filter(({ responseId }) => responseId === ticket.responseId);
        await good.end(entry ?? ticket, Math.min(position, entry ? (logOf(data, entry)?.text.length ?? 0) : position), text);
        return false;
      },
    }),
  ),
  broken(
    "closes without looking at the token",
    "fenced",
    "nothing is accepted from an attempt whose turn was attempted again",
    (good, data) => ({
      async close(ticket, options) {
        const isClosed = await good.close(ticket, options);
        for (const entry of threadOf(data, ticket).queue) if (entry.responseId === ticket.responseId) entry.isClosed = true;
        return isClosed;
      },
    }),
  ),
  broken("extends a lease at each look", "renewed", "looking at a ticket does not extend its lease", (good) => ({ check: good.renew })),
  broken("extends no lease", "renewed", "a ticket that is renewed lives on for as long as you like", (good) => ({ renew: good.check })),
  broken(
    "loses a ticket at the end of its lease",
    "overtaken",
    "an expired ticket that nobody overtook lives on",
    (good, data, { now = Date.now }) =>
      beforeTickets(good, (ticket) => {
        const thread = threadOf(data, ticket);
        const entry = entryOf(data, ticket);
        if (!entry || entry.leaseUntil > now()) return;
        thread.queue = thread.queue.filter((other) => other !== entry);
        thread.left.set(entry.attempt, entry.place);
      }),
  ),
  broken(
    "refuses what an expired ticket appends",
    "overtaken",
    "an expired ticket that nobody overtook may still append and end",
    (good, data, { now = Date.now }) => ({
      async append(ticket, ...rest) {
        return (entryOf(data, ticket)?.leaseUntil ?? Infinity) > now() ? good.append(ticket, ...rest) : lost;
      },
    }),
  ),
  broken(
    "puts a ticket that lives on at the end",
    "oneGranted",
    "expired tickets that live on keep their order",
    (good, data, { now = Date.now }) => ({
      renew(ticket) {
        const thread = threadOf(data, ticket);
        const entry = entryOf(data, ticket);
        if (entry && entry.leaseUntil <= now()) {
          entry.place = String(++thread.lastPlace).padStart(20, "0");
          sortQueue(thread);
        }
        return good.renew(ticket);
      },
    }),
  ),
  broken(
    "looks whether a ticket has expired, then renews it",
    "overtaken",
    "a renewal of an expired ticket that meets an entry keeps its place, or is lost",
    (good, data) => ({
      async renew(ticket) {
        const isKept = !threadOf(data, ticket).left.has(ticket.attempt);
        await new Promise((resolve) => setImmediate(resolve));
        if (isKept) threadOf(data, ticket).left.delete(ticket.attempt);
        return good.renew(ticket);
      },
    }),
  ),
  broken(
    "counts places from one again after it forgot",
    "forgotten",
    "a forgotten ticket keeps its place ahead of a turn that entered meanwhile",
    (good, data) => ({
      async enter(turn, ...rest) {
        const isNew = entryOf(data, turn) === undefined;
        const entrance = await good.enter(turn, ...rest);
        const entry = entryOf(data, turn);
        if (entrance.kind !== "entered" || !isNew || !entry) return entrance;
        const thread = threadOf(data, turn);
        entry.place = String(thread.left.size + thread.queue.length).padStart(20, "0");
        sortQueue(thread);
        return { ...entrance, ticket: { ...entrance.ticket, place: entry.place } };
      },
    }),
  ),
  broken(
    "takes a ticket that it forgot for a lost one",
    "forgotten",
    "tickets are accepted again in their order, ahead of new ones",
    (good, data) => ({
      renew: async (ticket) => (isKnown(data, ticket) ? good.renew(ticket) : lost),
    }),
  ),
  broken(
    "loses a ticket that it forgot when it is checked",
    "forgotten",
    "looking at a forgotten ticket does not lose it",
    (good, data) => ({
      check: async (ticket) => (isKnown(data, ticket) ? good.check(ticket) : lost),
    }),
  ),
  broken(
    "accepts a ticket that it forgot at the end",
    "forgotten",
    "a ticket keeps its place when those behind it come back first",
    (good, data) => ({
      async renew(ticket) {
        const isForgotten = !isKnown(data, ticket);
        await good.renew(ticket);
        const entry = entryOf(data, ticket);
        const thread = threadOf(data, ticket);
        if (entry && isForgotten) {
          entry.place = String(++thread.lastPlace).padStart(20, "0");
          sortQueue(thread);
        }
        return good.check(ticket);
      },
    }),
  ),
  broken("forgets a stop with its turn", "forgotten", "a stop that meets a forgotten turn reaches it", (good, data) => ({
    async stop(turn) {
      const outcome = await good.stop(turn);
      if (outcome === "recorded") threadOf(data, turn).stops.clear();
      return outcome;
    },
  })),
];
