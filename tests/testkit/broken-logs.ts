/** Coordinators whose logs have gaps, repetitions, or an end too early or too late. */
import type { Coordinator, LogSlice } from "../../src/lib/core/coordinator.ts";
import { broken, entryOf, logOf, roundTrip, threadOf, type BrokenCoordinator } from "./broken-coordinators.ts";

/** A read that changes what the right one returns. */
const reading = (good: Coordinator, change: (slice: LogSlice, position: number) => LogSlice | undefined): Partial<Coordinator> => ({
  async read(turn, attempt, position, follower) {
    const slice = await good.read(turn, attempt, position, follower);
    return slice && change(slice, position);
  },
});

/** When each turn entered or was appended to last, by attempt. */
const times = new Map<string, number>();

export const brokenLogs: BrokenCoordinator[] = [
  broken("ignores the position of a piece", "log", "a piece that is appended again adds nothing", (good, data) => ({
    append: (ticket, _, text) => good.append(ticket, logOf(data, ticket)?.text.length ?? 0, text),
  })),
  broken("skips a piece that it has in part", "log", "a piece that is appended again adds nothing", (good, data) => ({
    append: (ticket, position, text) => good.append(ticket, position, position < (logOf(data, ticket)?.text.length ?? 0) ? "" : text),
  })),
  broken("adds the last piece whole", "log", "a piece that is appended again adds nothing", (good, data) => ({
    end: (ticket, _, text) => good.end(ticket, logOf(data, ticket)?.text.length ?? 0, text),
  })),
  broken("closes a gap", "log", "a piece that would leave a gap is rejected", (good, data) => ({
    append: (ticket, position, text) => good.append(ticket, Math.min(position, logOf(data, ticket)?.text.length ?? 0), text),
  })),
  broken("ends a log with a gap", "log", "a piece that would leave a gap is rejected", (good, data) => ({
    end: (ticket, position, text) => good.end(ticket, Math.min(position, logOf(data, ticket)?.text.length ?? 0), text),
  })),
  broken("ignores a piece that would leave a gap", "log", "a piece that would leave a gap is rejected", (good, data) => ({
    append: (ticket, position, text) => good.append(ticket, position, text).catch(() => good.check(ticket)),
    end: async (ticket, position, text) => (position > (logOf(data, ticket)?.text.length ?? 0) ? false : good.end(ticket, position, text)),
  })),
  broken("reads the length, then appends", "log", "appends of overlapping pieces at once add each character once", (good, data) => ({
    async append(ticket, position, text) {
      const length = logOf(data, ticket)?.text.length ?? 0;
      await roundTrip();
      const missing = text.slice(Math.max(length - position, 0));
      return good.append(ticket, logOf(data, ticket)?.text.length ?? 0, missing);
    },
  })),
  broken(
    "looks whether a log has ended, then appends",
    "log",
    "an append that meets the end is in the log before it, or not at all",
    (good, data) => ({
      async append(ticket, position, text) {
        const isOpen = logOf(data, ticket)?.isEnded === false;
        await roundTrip();
        const log = logOf(data, ticket);
        if (log?.isEnded && isOpen) log.text += text.slice(log.text.length - position);
        return good.append(ticket, position, text);
      },
    }),
  ),
  broken("appends after the end", "end", "an end is final, and the next turn is granted at once", (good, data) => ({
    async append(ticket, position, text) {
      const log = logOf(data, ticket);
      if (log?.isEnded) log.text += text.slice(log.text.length - position);
      return good.append(ticket, position, text);
    },
  })),
  broken("ends a log again", "end", "an end is final, and the next turn is granted at once", (good, data) => ({
    async end(ticket, position, text) {
      const isEnded = await good.end(ticket, position, text);
      const log = logOf(data, ticket);
      if (log && !isEnded) log.text += text.slice(log.text.length - position);
      return isEnded;
    },
  })),
  broken(
    "keeps a turn in the queue until its lease ends",
    "end",
    "an end is final, and the next turn is granted at once",
    (good, data) => ({
      async end(ticket, position, text) {
        const entry = entryOf(data, ticket);
        const isEnded = await good.end(ticket, position, text);
        const thread = threadOf(data, ticket);
        if (entry && isEnded) thread.queue.unshift(entry);
        return isEnded;
      },
    }),
  ),
  broken("ends only the turn that runs", "end", "a waiting turn that ends leaves the queue", (good) => ({
    end: async (ticket, ...rest) => (await good.check(ticket)).state === "granted" && good.end(ticket, ...rest),
  })),
  broken("keeps one log for each turn", "end", "the next attempt at a turn that has ended begins afresh", (good, data) => ({
    async enter(turn, ...rest) {
      const last = threadOf(data, turn).logs.get(turn.responseId)?.at(-1);
      const entrance = await good.enter(turn, ...rest);
      const log = logOf(data, turn);
      if (log && last && log !== last) log.text = last.text;
      return entrance;
    },
  })),
  broken("restarts the log at the next attempt", "end", "the next attempt at a turn that has ended begins afresh", (good, data) => ({
    enter(turn, ...rest) {
      for (const log of threadOf(data, turn).logs.get(turn.responseId) ?? []) log.text = "";
      return good.enter(turn, ...rest);
    },
  })),
  broken(
    "takes the attempt that runs for the latest",
    "read",
    "each attempt has a log of its own, and the latest is that of the last to enter",
    (good, data) => ({
      read(turn, attempt, ...rest) {
        const running = threadOf(data, turn).queue.find(({ responseId }) => responseId === turn.responseId);
        return good.read(turn, attempt ?? running?.attempt, ...rest);
      },
    }),
  ),
  broken("finds logs by the attempt alone", "read", "what is unknown has no log", (good, data) => ({
    async read(turn, attempt, position, follower) {
      const logs = [...data.threads.values()].flatMap((thread) => [...thread.logs.values()].flat());
      const log = attempt !== undefined && logs.find((log) => log.attempt === attempt);
      if (!log || logOf(data, { ...turn, attempt })) return good.read(turn, attempt, position, follower);
      return { attempt, data: log.text.slice(position), length: log.text.length, state: "running" };
    },
  })),
  broken("has an empty log for what is unknown", "read", "what is unknown has no log", (good) => ({
    async read(turn, attempt, ...rest) {
      return (await good.read(turn, attempt, ...rest)) ?? { attempt: attempt ?? "", data: "", length: 0, state: "waiting" };
    },
  })),
  broken("returns the whole rest of a log", "read", "a log of 1 MB is read in slices", (good, data) => ({
    async read(turn, attempt, position, follower) {
      const slice = await good.read(turn, attempt, position, follower);
      return slice && { ...slice, data: logOf(data, { ...turn, attempt: slice.attempt })!.text.slice(position) };
    },
  })),
  broken("ends a slice at the length of the slice", "read", "a log of 1 MB is read in slices", (good) =>
    reading(good, (slice, position) => ({ ...slice, length: position + slice.data.length })),
  ),
  broken("counts positions from one", "read", "a log is read as it grows, from any position, on any instance", (good) =>
    reading(good, (slice) => ({ ...slice, data: slice.data.slice(1) })),
  ),
  broken("drops spaces at the end of a piece", "read", "any ASCII text is kept exactly", (good, data) => ({
    async append(ticket, position, text) {
      const status = await good.append(ticket, position, text);
      const log = logOf(data, ticket);
      if (log && text.trimEnd() === "") log.text = log.text.slice(0, position) + "_".repeat(text.length);
      return status;
    },
  })),
  broken("reads backslashes as escapes", "read", "any ASCII text is kept exactly", (good) => ({
    append: (ticket, position, text) => good.append(ticket, position, text.replaceAll("\\\\", "\\")),
  })),
  broken("reads the text, then the length", "read", "a reader sees a log whole up to its length while it grows", (good, data) => ({
    async read(turn, ...rest) {
      const slice = await good.read(turn, ...rest);
      await roundTrip();
      return slice && { ...slice, length: logOf(data, { ...turn, attempt: slice.attempt })?.text.length ?? 0 };
    },
  })),
  broken("calls the log of a dead attempt running", "read", "the log of an expired ticket is lost until it lives on", (good) =>
    reading(good, (slice) => ({ ...slice, state: slice.state === "lost" ? "running" : slice.state })),
  ),
  broken("calls the log of a lost attempt ended", "read", "the log of a lost attempt never ends", (good) =>
    reading(good, (slice) => ({ ...slice, state: slice.state === "lost" ? "ended" : slice.state })),
  ),
  broken("calls the log of a closed attempt running", "read", "a closed attempt is read as closed until its end", (good) =>
    reading(good, (slice) => ({ ...slice, state: slice.state === "closed" ? "running" : slice.state })),
  ),
  broken("calls the log of a waiting turn running", "read", "the log of a waiting turn is empty and waits", (good) =>
    reading(good, (slice) => ({ ...slice, state: slice.state === "waiting" ? "running" : slice.state })),
  ),
  broken("forgets a log at its end", "retention", "an ended log is readable for retentionMs, and then no more", (good, data) => ({
    async end(ticket, ...rest) {
      const isEnded = await good.end(ticket, ...rest);
      threadOf(data, ticket).logs.delete(ticket.responseId);
      return isEnded;
    },
  })),
  broken(
    "keeps an ended log for half of the time",
    "retention",
    "an ended log is readable for retentionMs, and then no more",
    (good, data, { retentionMs = 0 }) => ({
      async end(ticket, ...rest) {
        const isEnded = await good.end(ticket, ...rest);
        const log = logOf(data, ticket);
        if (log) log.keptUntil -= retentionMs / 2;
        return isEnded;
      },
    }),
  ),
  broken("keeps an ended log for ever", "retention", "an ended log is readable for retentionMs, and then no more", (good, data) => ({
    async end(ticket, ...rest) {
      const isEnded = await good.end(ticket, ...rest);
      const log = logOf(data, ticket);
      if (log) log.keptUntil = Infinity;
      return isEnded;
    },
  })),
  broken(
    "keeps a log from its last append on",
    "retention",
    "the log of a turn that runs is kept for as long as it runs",
    (good, data, { now = Date.now, retentionMs = 0 }) => ({
      async append(ticket, ...rest) {
        const isGone = (times.get(ticket.attempt) ?? Infinity) + retentionMs <= now();
        const log = logOf(data, ticket);
        if (log && isGone) log.text = "";
        times.set(ticket.attempt, now());
        return good.append(ticket, ...rest);
      },
      async read(turn, attempt, ...rest) {
        const isGone = (times.get(attempt ?? "") ?? Infinity) + retentionMs <= now();
        return isGone ? undefined : good.read(turn, attempt, ...rest);
      },
    }),
  ),
];
