/** Coordinators that lose stops, keep them too long, or close and follow not as promised. */
import { broken, entriesOf, entryOf, roundTrip, threadOf, type BrokenCoordinator } from "./broken-coordinators.ts";

export const brokenStops: BrokenCoordinator[] = [
  broken("loses a stop that comes first", "stop", "a stop that comes before its turn waits for it", (good, data) => ({
    async stop(turn) {
      const outcome = await good.stop(turn);
      if (outcome === "recorded") threadOf(data, turn).stops.delete(turn.responseId);
      return outcome;
    },
  })),
  broken("looks for the turn, then records a stop", "stop", "a stop that meets the entry of its turn reaches it", (good, data) => ({
    async stop(turn) {
      if (entriesOf(data, turn).length > 0) return good.stop(turn);
      await roundTrip();
      threadOf(data, turn).stops.set(turn.responseId, Infinity);
      return "recorded";
    },
  })),
  broken(
    "looks for the turn, then stops what comes next",
    "stop",
    "a stop that meets the end of its turn does not stop the next attempt",
    (good, data) => ({
      async stop(turn) {
        const isRunning = entriesOf(data, turn).length > 0;
        if (!isRunning) return good.stop(turn);
        await roundTrip();
        const thread = threadOf(data, turn);
        if (entriesOf(data, turn).length === 0) thread.stops.set(turn.responseId, Infinity);
        else await good.stop(turn);
        return "requested";
      },
    }),
  ),
  broken("stops the next attempt, too", "stop", "a stop persists until its turn has ended", (good, data) => ({
    async end(ticket, ...rest) {
      const isStopped = entryOf(data, ticket)?.isStopRequested;
      const isEnded = await good.end(ticket, ...rest);
      if (isStopped) threadOf(data, ticket).stops.set(ticket.responseId, Infinity);
      return isEnded;
    },
  })),
  broken("keeps a stop that was recorded after its turn", "stop", "a stop that comes before its turn waits for it", (good, data) => ({
    async enter(turn, ...rest) {
      const until = threadOf(data, turn).stops.get(turn.responseId);
      const entrance = await good.enter(turn, ...rest);
      if (until !== undefined) threadOf(data, turn).stops.set(turn.responseId, until);
      return entrance;
    },
  })),
  broken(
    "stops the attempt behind the one that was stopped",
    "stop",
    "the attempt behind one that was stopped and closed runs",
    (good, data) => ({
      async enter(turn, ...rest) {
        const isStopped = entriesOf(data, turn).some(({ isStopRequested }) => isStopRequested);
        const entrance = await good.enter(turn, ...rest);
        const entry = entryOf(data, turn);
        if (entry && isStopped) entry.isStopRequested = true;
        return entrance;
      },
    }),
  ),
  broken("tells of a stop once", "stop", "a stop persists until its turn has ended", (good, data) => ({
    async renew(ticket) {
      const status = await good.renew(ticket);
      const entry = entryOf(data, ticket);
      if (entry) entry.isStopRequested = false;
      return status;
    },
  })),
  broken("records a stop of a turn that has ended", "stop", "nothing is left to stop of a turn that has ended", (good, data) => ({
    async stop(turn) {
      const outcome = await good.stop(turn);
      if (outcome !== "requested") threadOf(data, turn).stops.set(turn.responseId, Infinity);
      return outcome;
    },
  })),
  broken("stops only a turn that runs", "stop", "a stop reaches a turn that runs, and one that waits", (good, data) => ({
    async stop(turn) {
      const outcome = await good.stop(turn);
      for (const entry of threadOf(data, turn).queue.slice(1)) entry.isStopRequested = false;
      return outcome;
    },
  })),
  broken("stops all turns of the thread", "stop", "a stop reaches a turn that runs, and one that waits", (good, data) => ({
    stop(turn) {
      for (const entry of threadOf(data, turn).queue) entry.isStopRequested = true;
      return good.stop(turn);
    },
  })),
  broken("keeps a stop for ever", "stop", "a stop that met no turn is kept for retentionMs, and then no more", (good, data) => ({
    async stop(turn) {
      const outcome = await good.stop(turn);
      if (outcome === "recorded") threadOf(data, turn).stops.set(turn.responseId, Infinity);
      return outcome;
    },
  })),
  broken("gives a stop to a turn that is busy", "stop", "a stop that waits is kept while its turn is busy", (good, data) => ({
    async enter(turn, ...rest) {
      const entrance = await good.enter(turn, ...rest);
      if (entrance.kind === "busy") threadOf(data, turn).stops.delete(turn.responseId);
      return entrance;
    },
  })),
  broken("loses a stop with the lease", "stop", "a stop outlives the lease of its turn", (good, data, { now = Date.now }) => ({
    renew(ticket) {
      const entry = entryOf(data, ticket);
      if (entry && entry.leaseUntil <= now()) entry.isStopRequested = false;
      return good.renew(ticket);
    },
  })),
  broken(
    "loses a stop with the attempt that died",
    "stop",
    "a stop waits for the next attempt when the attempt that it met has died",
    (good, data, { now = Date.now }) => ({
      enter(turn, ...rest) {
        for (const entry of threadOf(data, turn).queue) if (entry.leaseUntil <= now()) entry.isStopRequested = false;
        return good.enter(turn, ...rest);
      },
    }),
  ),
];

export const brokenFollowers: BrokenCoordinator[] = [
  broken("closes a turn that is followed", "close", "a close unless followed leaves a turn open that is followed", (good) => ({
    close: (ticket) => good.close(ticket),
  })),
  broken("closes no turn that is followed", "close", "a close without a condition closes a turn that is followed", (good) => ({
    close: (ticket) => good.close(ticket, { unlessFollowed: true }),
  })),
  broken(
    "looks for followers, then closes",
    "closeRace",
    "a turn that is joined while it is closed is open, or was not joined",
    (good, data) => ({
      async close(ticket, options) {
        if (options?.unlessFollowed && (entryOf(data, ticket)?.followers.size ?? 0) > 0) return false;
        await roundTrip();
        return good.close(ticket);
      },
    }),
  ),
  broken("counts everyone who reads", "followers", "a read without a follower is none", (good) => ({
    read: (turn, attempt, position, follower = { follower: "" }) => good.read(turn, attempt, position, follower),
  })),
  broken("opens a closed turn when it is renewed", "close", "a closed turn stays closed, and ends", (good, data) => ({
    renew(ticket) {
      const entry = entryOf(data, ticket);
      if (entry) entry.isClosed = false;
      return good.renew(ticket);
    },
  })),
  broken(
    "removes a closed turn from the queue",
    "close",
    "a closed attempt is not joined, and its response id enters again behind it",
    (good, data) => ({
      async close(ticket, options) {
        const isClosed = await good.close(ticket, options);
        const thread = threadOf(data, ticket);
        if (isClosed) thread.queue = thread.queue.filter(({ attempt }) => attempt !== ticket.attempt);
        return isClosed;
      },
    }),
  ),
  broken("closes a turn once", "repeated", "a call that is sent again changes nothing", (good, data) => ({
    close: async (ticket, options) => entryOf(data, ticket)?.isClosed !== true && good.close(ticket, options),
  })),
  broken("adds a turn that enters again", "samePlace", "entering again with the same attempt returns the same place", (good, data) => ({
    async enter(turn, ...rest) {
      const entrance = await good.enter(turn, ...rest);
      const entry = entryOf(data, turn);
      const thread = threadOf(data, turn);
      if (entry && thread.queue.at(-1) !== entry) thread.queue.push({ ...entry });
      return entrance;
    },
  })),
  broken("counts a follower for ever", "followers", "a follower counts for followMs after each call", (good, data) => ({
    async check(ticket) {
      const followers = entryOf(data, ticket)?.followers;
      for (const id of followers?.keys() ?? []) followers?.set(id, Infinity);
      return good.check(ticket);
    },
  })),
  broken("counts a follower from its join on", "followers", "a follower counts for followMs after each call", (good, data) => ({
    async read(turn, attempt, position, reader) {
      const [entry] = entriesOf(data, turn);
      const until = reader && entry?.followers.get(reader.follower);
      const slice = await good.read(turn, attempt, position, reader);
      if (reader && until !== undefined) entry?.followers.set(reader.follower, until);
      return slice;
    },
  })),
  broken("counts the calls of followers", "followers", "a follower that calls twice is one follower", (good, data) => ({
    async read(turn, attempt, position, reader) {
      const [entry] = entriesOf(data, turn);
      return good.read(turn, attempt, position, reader && { follower: `${reader.follower} ${entry?.followers.size}` });
    },
  })),
  broken("follows all attempts at a turn", "followers", "who follows one attempt follows no other", (good, data) => ({
    async read(turn, attempt, position, reader) {
      for (const { followers } of entriesOf(data, turn)) if (reader) followers.set(reader.follower, Infinity);
      return good.read(turn, attempt, position, reader);
    },
  })),
  broken("follows only those who join", "followers", "a reader of the log is a follower until it ends the reading", (good, data) => ({
    async read(turn, attempt, position, reader) {
      const slice = await good.read(turn, attempt, position, reader);
      for (const { followers } of entriesOf(data, turn)) if (reader) followers.delete(reader.follower);
      return slice;
    },
  })),
  broken("lets all followers go with one", "followers", "a reader of the log is a follower until it ends the reading", (good, data) => ({
    async unfollow(ticket) {
      entryOf(data, ticket)?.followers.clear();
    },
  })),
  broken("lets whoever enters follow", "followers", "whoever enters a turn does not follow it", (good, data) => ({
    async enter(turn, policy, follower) {
      const entrance = await good.enter(turn, policy, follower);
      entryOf(data, turn)?.followers.set(follower.follower, Infinity);
      return entrance;
    },
  })),
];
