/** Sends the polls of one tick as one statement: an instance with a thousand turns sends a few, not a thousand. A start waits for the next of them. */
import type { PostgresQuery } from "../../sql/postgres.ts";

/** A check of a ticket, or a reading of a log. */
type Kind = "ticket" | "read";

/** The result of one poll, as the database returns it. */
interface PollRow {
  kind: Kind;
  /** The index of the call among the calls of its kind. */
  number: number;
  outcome: string | null;
  slice: string | null;
}

/** The most calls in one statement. It bounds the response: a slice has up to 256 KiB. */
const maxCalls = 64;

/**
 * The status of most tickets at most times: the turn runs, and nobody asks anything of it. The database leaves it out, so
 * that a poll of which nothing comes has no rows to read. Written as PostgreSQL writes JSON.
 */
const usualStatus = '["granted", false, false, false, 0]';

/** The status of a ticket that has left. */
const lostStatus = '["lost", false, false, false, 0]';

/** How long a start waits for a poll to go with, in milliseconds. */
const startDelay = 100;

interface Call {
  kind: Kind;
  /** The arguments, in the form that the function in the database expects. */
  values: readonly unknown[];
  resolve: (row: PollRow) => void;
  reject: (error: unknown) => void;
}

/** A call that waits for a poll to go with. */
export interface WaitingPoll {
  row: Promise<PollRow>;
  /** The ticket ends. Unless it is sent already, the call is answered as it would be then. */
  withdraw(): void;
}

/** The polls of a process. */
export interface Polls {
  /** Checks a ticket, or reads a log. Calls of the same tick share a statement, and its failure. */
  send(kind: Kind, values: readonly unknown[]): Promise<PollRow>;
  /** Checks a ticket that has started, with one of the next polls. */
  sendSoon(values: readonly unknown[]): WaitingPoll;
}

/**
 * Creates the polls of a coordinator.
 *
 * @param settings - The last parameters of the function in the database.
 */
export function createPolls(query: PostgresQuery, pollFunction: string, settings: readonly string[]): Polls {
  let calls: Call[] = [];
  let isFlushing = false;
  let timer: ReturnType<typeof setTimeout> | undefined;
  const text = `SELECT kind, number, outcome, slice FROM ${pollFunction}($1, $2, $3, $4::bigint, $5::bigint, $6::bigint)`;

  async function sendTogether(batch: readonly Call[]): Promise<void> {
    const byKind = { ticket: batch.filter(({ kind }) => kind === "ticket"), read: batch.filter(({ kind }) => kind === "read") };
    const valuesOf = (kind: Kind): string => JSON.stringify(byKind[kind].map(({ values }) => values));
    try {
      const rows = await query<PollRow>(text, [valuesOf("ticket"), valuesOf("read"), usualStatus, ...settings]);
      for (const row of rows) byKind[row.kind][row.number]!.resolve(row);
      // Those without a row; the others are settled already.
      byKind.ticket.forEach(({ resolve }, number) => resolve({ kind: "ticket", number, outcome: usualStatus, slice: null }));
    } catch (error) {
      for (const { reject } of batch) reject(error);
    }
  }

  function flush(): void {
    clearTimeout(timer);
    timer = undefined;
    isFlushing = false;
    const all = calls;
    calls = [];
    for (let first = 0; first < all.length; first += maxCalls) void sendTogether(all.slice(first, first + maxCalls));
  }

  return {
    send(kind, values) {
      if (!isFlushing) queueMicrotask(flush);
      isFlushing = true;
      return new Promise((resolve, reject) => calls.push({ kind, values, resolve, reject }));
    },
    sendSoon(values) {
      if (!isFlushing) timer ??= setTimeout(flush, startDelay);
      const { promise, resolve, reject } = Promise.withResolvers<PollRow>();
      const call: Call = { kind: "ticket", values, resolve, reject };
      calls.push(call);
      return {
        row: promise,
        withdraw() {
          if (!calls.includes(call)) return;
          calls = calls.filter((other) => other !== call);
          resolve({ kind: "ticket", number: 0, outcome: lostStatus, slice: null });
        },
      };
    },
  };
}
