/** Coordinators that order, join or refuse turns not as promised. */
import type { Coordinator } from "../../src/lib/core/coordinator.ts";
import { broken, entriesOf, entryOf, roundTrip, sortQueue, threadOf, type BrokenCoordinator } from "./broken-coordinators.ts";
import { liveOf } from "./simple-coordinator.ts";

type Enter = Coordinator["enter"];

/** Gives each turn that enters a place of the coordinator's own. */
const withPlaces =
  (enter: Enter, data: Parameters<typeof entryOf>[0], placeOf: (isNew: boolean) => number | undefined): Enter =>
  async (turn, ...rest) => {
    const isNew = entryOf(data, turn) === undefined;
    const entrance = await enter(turn, ...rest);
    const place = entrance.kind === "entered" ? placeOf(isNew) : undefined;
    const entry = entryOf(data, turn);
    if (entrance.kind !== "entered" || place === undefined || !entry) return entrance;
    entry.place = String(place).padStart(20, "0");
    const thread = threadOf(data, turn);
    sortQueue(thread);
    const ahead = thread.queue.indexOf(entry);
    const status = { ...entrance.status, state: ahead === 0 ? "granted" : "waiting" } as const;
    return { ...entrance, ticket: { ...entrance.ticket, place: entry.place }, ahead, status };
  };

export const brokenQueues: BrokenCoordinator[] = [
  broken(
    "orders by the clocks of the instances",
    "databaseClock",
    "turns keep their order whatever the clocks of their instances say",
    (good, data) => ({
      enter: withPlaces(good.enter, data, (isNew) => (isNew ? Date.now() : undefined)),
    }),
  ),
  broken("numbers the places in each process", "oneGranted", "turns are granted in the order in which they entered", (good, data) => {
    let last = 0;
    return { enter: withPlaces(good.enter, data, (isNew) => (isNew ? ++last : undefined)) };
  }),
  broken("reads the queue, then writes it", "order", "of two turns that enter at once one is ahead", (good, data) => ({
    async enter(turn, ...rest) {
      const ahead = threadOf(data, turn).queue.length;
      await roundTrip();
      const entrance = await good.enter(turn, ...rest);
      if (entrance.kind !== "entered") return entrance;
      return { ...entrance, ahead, status: { ...entrance.status, state: ahead === 0 ? "granted" : "waiting" } };
    },
  })),
  broken(
    "grants the thread to the first that asks",
    "oneGranted",
    "turns that wait and run at once run one at a time, in their order",
    (good, data) => {
      const grant = async (ticket: Parameters<Coordinator["check"]>[0]) => {
        const status = await good.check(ticket);
        const thread = threadOf(data, ticket);
        if (status.state !== "waiting" || thread.queue[0]?.hasStarted) return status;
        const entry = entryOf(data, ticket)!;
        thread.queue = [entry, ...thread.queue.filter((other) => other !== entry)];
        return { ...status, state: "granted" as const };
      };
      return { check: grant };
    },
  ),
  broken(
    "looks for a turn to join, then enters",
    "join",
    "of equal turns that enter at once one enters and the others join it",
    (good, data) => ({
      async enter(turn, ...rest) {
        const isJoined = entriesOf(data, turn).length > 0;
        await roundTrip();
        if (!isJoined) for (const entry of entriesOf(data, turn)) entry.isClosed = true;
        return good.enter(turn, ...rest);
      },
    }),
  ),
  broken("joins by the response id alone", "join", "another prompt under the same response id is a conflict", (good, data) => ({
    enter(turn, ...rest) {
      const [same] = entriesOf(data, turn);
      return good.enter(same ? { ...turn, promptId: same.promptId, promptDigest: same.promptDigest } : turn, ...rest);
    },
  })),
  broken("does not compare the digests", "join", "another prompt under the same response id is a conflict", (good) => ({
    enter: (turn, ...rest) => good.enter({ ...turn, promptDigest: "" }, ...rest).then((entrance) => withTurn(entrance, turn)),
  })),
  broken("compares prompts without case", "join", "prompts with odd ids are told apart", (good) => ({
    enter: (turn, ...rest) =>
      good.enter({ ...turn, promptId: turn.promptId.toLowerCase() }, ...rest).then((entrance) => withTurn(entrance, turn)),
  })),
  broken("joins a closed attempt", "close", "a closed attempt is not joined, and its response id enters again behind it", (good, data) => ({
    enter(turn, ...rest) {
      for (const entry of entriesOf(data, turn)) entry.isClosed = false;
      return good.enter(turn, ...rest);
    },
  })),
  broken("joins an attempt that has expired", "overtaken", "expired tickets count for no policy, and are not joined", (good, data) => ({
    async enter(turn, ...rest) {
      const [same] = entriesOf(data, turn);
      return same && same.attempt !== turn.attempt ? { kind: "joined", attempt: same.attempt } : good.enter(turn, ...rest);
    },
  })),
  broken("joins by the response id in any thread", "keys", "odd thread ids are kept apart", (good, data) => ({
    async enter(turn, ...rest) {
      const all = [...data.threads.values()].flatMap(({ queue }) => queue);
      const same = all.find(({ responseId, attempt }) => responseId === turn.responseId && attempt !== turn.attempt);
      return same ? { kind: "joined", attempt: same.attempt } : good.enter(turn, ...rest);
    },
  })),
  broken("counts who joins from the first read on", "join", "whoever joins is a follower at once", (good, data) => ({
    async enter(turn, policy, follower) {
      const entrance = await good.enter(turn, policy, follower);
      for (const entry of entriesOf(data, turn)) entry.followers.delete(follower.follower);
      return entrance;
    },
  })),
  broken("is busy behind expired tickets", "overtaken", "expired tickets count for no policy, and are not joined", (good, data) => ({
    async enter(turn, policy, follower) {
      const isBusy = policy.concurrency === "reject" && threadOf(data, turn).queue.length > 0;
      return isBusy ? { kind: "busy" } : good.enter(turn, policy, follower);
    },
  })),
  broken("lets one turn too many wait", "busy", "at most maxQueued turns wait", (good) => ({
    enter: (turn, { concurrency, maxQueued }, follower) => good.enter(turn, { concurrency, maxQueued: maxQueued + 1 }, follower),
  })),
  broken("counts the turns that wait, then enters", "busy", "no more than maxQueued turns wait when many enter at once", (good, data) => ({
    async enter(turn, { concurrency, maxQueued }, follower) {
      if (threadOf(data, turn).queue.length > maxQueued) return { kind: "busy" };
      await roundTrip();
      return good.enter(turn, { concurrency, maxQueued: Infinity }, follower);
    },
  })),
  broken("looks for other turns, then enters", "busy", 'of turns with "reject" that enter at once one enters', (good, data) => ({
    async enter(turn, policy, follower) {
      if (policy.concurrency === "reject" && threadOf(data, turn).queue.length > 0) return { kind: "busy" };
      await roundTrip();
      return good.enter(turn, { ...policy, concurrency: "queue" }, follower);
    },
  })),
  broken(
    "is busy behind a closed turn",
    "busy",
    'a turn with "reject" waits behind one that has been closed',
    (good, data, { now = Date.now }) => ({
      async enter(turn, policy, follower) {
        const isBusy = policy.concurrency === "reject" && liveOf(threadOf(data, turn).queue, now()).length > 0;
        return isBusy ? { kind: "busy" } : good.enter(turn, policy, follower);
      },
    }),
  ),
  broken("interrupts only the turn that runs", "interrupt", 'a turn with "interrupt" asks all turns ahead to stop', (good, data) => ({
    async enter(turn, policy, follower) {
      const waiting = threadOf(data, turn).queue.slice(1);
      const entrance = await good.enter(turn, policy, follower);
      for (const entry of waiting) entry.isStopRequested = false;
      return entrance;
    },
  })),
  broken(
    "interrupts what it saw before it entered",
    "interrupt",
    "turns that interrupt at once stop all but the last of them",
    (good, data) => ({
      async enter(turn, policy, follower) {
        const ahead = policy.concurrency === "interrupt" ? [...threadOf(data, turn).queue] : [];
        await roundTrip();
        const entrance = await good.enter(turn, { ...policy, concurrency: "queue" }, follower);
        for (const entry of ahead) entry.isStopRequested = true;
        return entrance;
      },
    }),
  ),
  broken("interrupts, then is busy", "busy", "a busy entry leaves nothing behind", (good, data) => ({
    enter(turn, policy, follower) {
      if (policy.concurrency === "interrupt") for (const entry of threadOf(data, turn).queue) entry.isStopRequested = true;
      return good.enter(turn, policy, follower);
    },
  })),
  broken(
    "puts an attempt that enters again at the end",
    "samePlace",
    "entering again with the same attempt returns the same place",
    (good, data) => ({
      enter(turn, ...rest) {
        const thread = threadOf(data, turn);
        thread.queue = thread.queue.filter(({ attempt }) => attempt !== turn.attempt);
        return good.enter(turn, ...rest);
      },
    }),
  ),
  broken("joins an attempt to itself", "samePlace", "entering again with the same attempt returns the same place", (good, data) => ({
    async enter(turn, ...rest) {
      return entryOf(data, turn) ? { kind: "joined", attempt: turn.attempt } : good.enter(turn, ...rest);
    },
  })),
  broken(
    "tells all who enter that a turn has started",
    "predecessor",
    "a ticket records that a turn ahead started after it entered",
    (good, data) => ({
      async enter(turn, ...rest) {
        const entrance = await good.enter(turn, ...rest);
        const hasPredecessorStarted = threadOf(data, turn).queue.some(({ hasStarted }) => hasStarted);
        return entrance.kind === "entered" ? { ...entrance, status: { ...entrance.status, hasPredecessorStarted } } : entrance;
      },
    }),
  ),
  broken(
    "counts a start each time",
    "predecessor",
    "a start that is repeated concerns nobody who entered after the first",
    (good, data) => ({
      start(ticket) {
        const entry = entryOf(data, ticket);
        if (entry) entry.hasStarted = false;
        return good.start(ticket);
      },
    }),
  ),
  broken(
    "says of each ticket that starts that it waits",
    "predecessor",
    "a ticket records that a turn ahead started after it entered",
    (good) => ({
      start: async (ticket) => ({ ...(await good.start(ticket)), state: "waiting" }),
    }),
  ),
  broken("forgets the start at an end", "predecessor", "an end records the start that it is told of", (good) => ({
    end: (ticket, position, data) => good.end(ticket, position, data),
  })),
  broken("takes each end for one of a turn that has started", "predecessor", "an end records the start that it is told of", (good) => ({
    end: (ticket, position, data) => good.end(ticket, position, data, { hasStarted: true }),
  })),
  broken("marks all tickets at a start", "predecessor", "a start behind a turn does not concern it", (good, data) => ({
    async start(ticket) {
      for (const entry of threadOf(data, ticket).queue) if (entry.attempt !== ticket.attempt) entry.hasPredecessorStarted = true;
      return good.start(ticket);
    },
  })),
  broken("finds the turn that entered last", "find", "the turn that runs is found, or the first that waits", (good, data) => ({
    find: async (key) => threadOf(data, key).queue.at(-1)?.responseId,
  })),
  broken("finds no turn that was closed", "find", "the turn that runs is found, or the first that waits", (good, data) => ({
    find: async (key) => threadOf(data, key).queue.find(({ isClosed }) => !isClosed)?.responseId,
  })),
  broken("finds a turn that has expired", "find", "a turn whose ticket has expired is not found", (good, data) => ({
    find: async (key) => threadOf(data, key).queue[0]?.responseId,
  })),
];

/** The entrance of a turn that entered under other ids. */
function withTurn(entrance: Awaited<ReturnType<Enter>>, turn: Parameters<Enter>[0]): Awaited<ReturnType<Enter>> {
  return entrance.kind === "entered" ? { ...entrance, ticket: { ...entrance.ticket, ...turn } } : entrance;
}
