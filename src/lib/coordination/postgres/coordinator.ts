/** Coordinates turns through PostgreSQL, with the app's own client. */
import { coordinatorOptionNames, resolveCoordinatorSettings, type CoordinatorOptions } from "../../core/coordinator-options.ts";
import type { CoordinatorEntrance, LogSlice, Ticket, TicketRequest, TicketStatus, TurnKey } from "../../core/coordinator.ts";
import type { SharedCoordinator } from "../../core/turn-registry.ts";
import type { ThreadKey } from "../../core/store.ts";
import { checkOptionNames, throwUsageError } from "../../core/usage-error.ts";
import {
  checkPostgresClient,
  createPostgresQuery,
  migratePostgres,
  type PostgresClient,
  type PostgresQuery,
  type PostgresSchemaOptions,
} from "../../sql/postgres.ts";
import { coordinatorNames } from "./names.ts";
import { shareTurns } from "../shared/share-turns.ts";
import { createPolls, type WaitingPoll } from "./polls.ts";
import { postgresCoordinatorSchema } from "./schema.ts";
import { digest } from "./ticket-functions.ts";

/** Options of {@link createPostgresCoordinator}. */
export interface PostgresCoordinatorOptions extends CoordinatorOptions, PostgresSchemaOptions {
  /**
   * Runs `migrate()` before the first call of the coordinator: once, and again before the next call if it failed. Nothing happens when the
   * coordinator is created.
   *
   * @default false
   */
  migrate?: boolean | undefined;
}

/** A coordinator in PostgreSQL. */
export interface PostgresCoordinator extends SharedCoordinator {
  /**
   * Creates the tables and functions, or adds what is missing. Call it at the start of the app or when it is deployed, as often as you like
   * and from as many processes.
   */
  migrate(): Promise<void>;
  /**
   * Deletes everything that is older than `retentionMs`. The end of each turn deletes a part, so only an app that must not keep the text of its last
   * answers while nobody chats needs a job that calls it.
   *
   * @example
   * setInterval(() => void coordinator.sweep().catch(console.error), 60_000);
   */
  sweep(): Promise<void>;
}

type StatusRow = [TicketStatus["state"], boolean, boolean, boolean, number];
type EntranceRow = ["joined", string] | ["conflict"] | ["busy"] | ["entered", string, number, StatusRow];

/** The handler looks at its tickets and logs this often, in milliseconds: nothing is pushed. */
const pace = { ticketPollMs: 250, logPollMs: 100, flushMs: 250 };

/**
 * Creates a coordinator in PostgreSQL, for a chat handler that runs on many instances. Pass `migrate: true`, or call `migrate()` before the
 * first use. It may share a database, a schema and a prefix with the store.
 *
 * Each call is one statement. The checks and readings that a process makes in one tick share a statement; a start goes with one of them, within
 * 100 ms. It needs no session, so it works through a proxy that pools transactions. Deadlocks and serialization failures are retried for five
 * seconds, under any isolation level.
 *
 * Its tables are unlogged: a call writes 40 bytes of WAL, and a crash or a failover of PostgreSQL empties the tables. Turns that run then
 * go on at their places, and may be answered twice. The store still keeps one answer. Owners and ids may be any strings.
 *
 * A follower's row is written once in a while, so a follower may count for up to a fifth longer than `followMs`.
 *
 * @throws TypeError if the client has no `query`, for an unknown option, or for an invalid value.
 *
 * @example
 * const pool = new Pool({ connectionString: process.env.DATABASE_URL, statement_timeout: 5_000, connectionTimeoutMillis: 3_000 });
 * pool.on("error", ({ message }) => console.error(message));
 * const store = createPostgresStore(pool, { migrate: true });
 * const coordinator = createPostgresCoordinator(pool, { migrate: true });
 * export const chat = createChatHandler({ store, coordinator, client, model: "gpt-5-mini" });
 */
export function createPostgresCoordinator(client: PostgresClient, options: PostgresCoordinatorOptions = {}): PostgresCoordinator {
  checkPostgresClient("createPostgresCoordinator", client);
  checkOptionNames("createPostgresCoordinator", options, [...coordinatorOptionNames, "schema", "prefix", "migrate"]);
  const { schema, prefix, migrate: migratesFirst = false, ...coordinatorOptions } = options;
  if (typeof migratesFirst !== "boolean") throwUsageError("migrate must be true or false");
  const settings = resolveCoordinatorSettings(coordinatorOptions, pace);
  const names = coordinatorNames({ schema, prefix });
  const [lease, follow, retention] = [settings.leaseMs, settings.followMs, settings.retentionMs].map(String) as [string, string, string];

  const migrate = (): Promise<void> => migratePostgres(client, names.versions, postgresCoordinatorSchema({ schema, prefix }));
  const directQuery = createPostgresQuery(client, "coordinator");
  const query = migratesFirst ? queryAfter(migrate, directQuery) : directQuery;
  const polls = createPolls(query, names.poll, [lease, follow, retention]);

  /** The starts that may not have been sent yet, by attempt. */
  const starting = new Map<string, WaitingPoll>();

  /** Calls a function of the database. Returns its result. */
  async function call<Result>(name: string, parameters: string, values: (string | null)[]): Promise<Result> {
    const [row] = await query<{ result: Result }>(`SELECT ${name}(${parameters}) AS result`, values);
    return row!.result;
  }

  const shared = shareTurns({
    settings,

    async enter(turn, { concurrency, maxQueued }, { follower }) {
      const values = [
        ticketJson({ ...turn, place: "" }),
        concurrency,
        String(maxQueued),
        JSON.stringify(follower),
        lease,
        follow,
        retention,
      ];
      const row = await call<string>(names.enter, "$1, $2, $3::bigint, $4, $5::bigint, $6::bigint, $7::bigint", values);
      return readEntrance(JSON.parse(row), turn);
    },

    async renew(ticket) {
      return readStatus(await call(names.renew, "$1, $2::bigint, $3::bigint", [ticketJson(ticket), lease, retention]));
    },

    async check(ticket) {
      const { outcome } = await polls.send("ticket", ticketValues(ticket));
      return readStatus(outcome!);
    },

    async start(ticket) {
      const sent = polls.sendSoon([...ticketValues(ticket), "started"]);
      starting.set(ticket.attempt, sent);
      try {
        const { outcome } = await sent.row;
        return readStatus(outcome!);
      } finally {
        starting.delete(ticket.attempt);
      }
    },

    async append(ticket, position, data) {
      const values = [ticketJson(ticket), String(position), data, lease, retention];
      const status = await call<string>(names.append, "$1, $2::bigint, $3, $4::bigint, $5::bigint", values);
      return readStatus(checkGap(status, position));
    },

    async close(ticket, { unlessFollowed = false } = {}) {
      const values = [ticketJson(ticket), unlessFollowed ? "unless followed" : "", lease, retention];
      return call(names.close, "$1, $2, $3::bigint, $4::bigint", values);
    },

    async end(ticket, position, data, { hasStarted = false } = {}) {
      if (hasStarted) starting.get(ticket.attempt)?.withdraw();
      const values = [ticketJson(ticket), String(position), data, hasStarted ? "started" : "", lease, retention];
      const isEnded = await call<string>(names.end, "$1, $2::bigint, $3, $4, $5::bigint, $6::bigint", values);
      return checkGap(isEnded, position) === "true";
    },

    async read(turn, attempt, position, reader) {
      const attemptJson = attempt === undefined ? null : JSON.stringify(attempt);
      const followerJson = reader ? JSON.stringify(reader.follower) : null;
      const { outcome, slice } = await polls.send("read", [...turnValues(turn), attemptJson, position, followerJson]);
      return outcome === null ? undefined : readSlice(outcome, slice);
    },

    async unfollow(ticket, { follower }) {
      const ticketId = `SELECT id FROM ${names.tickets} WHERE turn = ${digest("$1::text || $2")} AND attempt = $3`;
      const text = `DELETE FROM ${names.followers} WHERE ticket = (${ticketId}) AND follower = ${digest("$4")}`;
      await query(text, [...turnValues(ticket), JSON.stringify(ticket.attempt), JSON.stringify(follower)]);
    },

    async stop(turn) {
      return call(names.stop, "$1, $2, $3::bigint", [...turnValues(turn), retention]);
    },

    async find(thread) {
      const text = `SELECT response FROM ${names.tickets} WHERE thread = ${digest("$1")} AND is_open AND expires_at > clock_timestamp() ORDER BY place LIMIT 1`;
      const [row] = await query<{ response: string }>(text, [threadJson(thread)]);
      return row && JSON.parse(row.response);
    },
  });

  async function sweep(): Promise<void> {
    while (Number(await call(names.sweep, "", [])) > 0);
  }

  return { ...shared, migrate, sweep };
}

/** Returns a query that waits for the migration: it runs before the first statement, and again before the next if it failed. */
function queryAfter(migrate: () => Promise<void>, query: PostgresQuery): PostgresQuery {
  let migration: Promise<void> | undefined;
  return async (text, values) => {
    migration ??= migrate().catch((error: unknown) => {
      migration = undefined;
      throw error;
    });
    await migration;
    return query(text, values);
  };
}

const threadJson = ({ owner, threadId }: ThreadKey): string => JSON.stringify([owner, threadId]);

/** The ids as JSON, which escapes what PostgreSQL's text cannot hold: NUL and half a surrogate pair. */
const turnValues = (turn: TurnKey): string[] => [threadJson(turn), JSON.stringify(turn.responseId)];

function ticketValues(ticket: Ticket): string[] {
  return [...turnValues(ticket), JSON.stringify(ticket.attempt), JSON.stringify([ticket.promptId, ticket.promptDigest]), ticket.place];
}

const ticketJson = (ticket: Ticket): string => JSON.stringify(ticketValues(ticket));

function readEntrance(row: EntranceRow, turn: TicketRequest): CoordinatorEntrance {
  switch (row[0]) {
    case "joined":
      return { kind: "joined", attempt: JSON.parse(row[1]) };
    case "entered": {
      // A spread would take a second object for the last field, in every open stream.
      const { owner, threadId, responseId, attempt, promptId, promptDigest } = turn;
      const ticket: Ticket = { owner, threadId, responseId, attempt, promptId, promptDigest, place: row[1] };
      return { kind: "entered", ticket, ahead: row[2], status: toStatus(row[3]) };
    }
    case "conflict":
    case "busy":
      return { kind: row[0] };
  }
}

const readStatus = (json: string): TicketStatus => toStatus(JSON.parse(json));

function toStatus([state, isStopRequested, isFollowed, hasPredecessorStarted, logLength]: StatusRow): TicketStatus {
  return { state, isStopRequested, isFollowed, hasPredecessorStarted, logLength };
}

function readSlice(outcome: string, slice: string | null): LogSlice {
  const [attempt, length, state]: [string, number, LogSlice["state"]] = JSON.parse(outcome);
  return { attempt: JSON.parse(attempt), data: slice ?? "", length, state };
}

/** Throws if the database returned the length of the log, which it does instead of leaving a gap. */
function checkGap(result: string, position: number): string {
  if (/^\d+$/.test(result)) {
    throw new Error(`The log of the turn has ${result} characters, so nothing can be added at ${position}. Append what is missing first.`);
  }
  return result;
}
