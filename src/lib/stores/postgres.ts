/** Keeps threads in PostgreSQL, through the app's own client. */
import { checkOptionNames } from "../core/usage-error.ts";
import type { ThreadStore } from "../core/store.ts";
import {
  checkPostgresClient,
  createPostgresQuery,
  migratePostgres,
  type PostgresClient,
  type PostgresSchemaOptions,
} from "../sql/postgres.ts";
import { checkListOptions, textCheck } from "./arguments.ts";
import { migrateFirst } from "./migrate-first.ts";
import { changeMessage, readMessage, writeBatch } from "./message-json.ts";
import { hashOf, postgresNames, postgresSchema } from "./postgres-schema.ts";
import { pageStart, readPage, readThread, type ThreadRow } from "./thread-row.ts";

/** Options of {@link createPostgresStore}. */
export interface PostgresStoreOptions extends PostgresSchemaOptions {
  /**
   * Runs `migrate()` before the first call of the store: once, and again before the next call if it failed. Nothing happens when the
   * store is created. @default false
   */
  migrate?: boolean | undefined;
}

/** A {@link ThreadStore} in PostgreSQL. */
export interface PostgresStore extends ThreadStore {
  /**
   * Brings the schema up to date: creates it or adds what is missing, keeps what is stored. Call it at the start of the app or
   * when it is deployed, as often as you like and from as many processes.
   */
  migrate(): Promise<void>;
}

/** A thread's row as one JSON text: drivers return bigints differently, and PGlite removes a byte order mark at the start of a text. */
const threadRow = `json_build_array(thread_id, title, created_at, updated_at, activity, ${hashOf("thread_id")})::text AS row`;

const cursorPattern = /^([0-9]{1,15})-([0-9]{1,16})$/;

const checkText = textCheck(/\0|\p{Surrogate}/u, "NUL or half a surrogate pair");

/**
 * Creates a store in PostgreSQL. Pass `migrate: true`, or call `migrate()` before the first use.
 *
 * Each call is one statement, `updateMessage` two. It needs no session, so it works through a proxy that pools transactions. Deadlocks and
 * serialization failures are retried for five seconds. Any number of processes may use the same tables, under any isolation level.
 *
 * The store refuses ids and titles with NUL or half a surrogate pair, which PostgreSQL cannot hold. Messages may contain them. Owner and
 * thread id together must fit into an index entry (about 2,700 bytes), and so must a message id.
 *
 * @throws TypeError if the client has no `query`, for an unknown option, or for an invalid value.
 *
 * @example
 * const pool = new Pool({ connectionString: process.env.DATABASE_URL, statement_timeout: 5_000, connectionTimeoutMillis: 3_000 });
 * pool.on("error", ({ message }) => console.error(message));
 * const store = createPostgresStore(pool, { migrate: true });
 */
export function createPostgresStore(client: PostgresClient, options: PostgresStoreOptions = {}): PostgresStore {
  checkPostgresClient("createPostgresStore", client);
  checkOptionNames("createPostgresStore", options, ["schema", "prefix", "migrate"]);
  const { migrate, ...schemaOptions } = options;
  const names = postgresNames(schemaOptions);
  const { threads, messages: table } = names;

  const query = createPostgresQuery(client, "store");

  async function queryThreads(text: string, values: string[]): Promise<ThreadRow[]> {
    const rows = await query<{ row: string }>(text, values);
    return rows.map(({ row }) => JSON.parse(row));
  }

  const thisThread = "owner = $1 AND thread_id = $2";
  const messagesHere = `thread = (SELECT key FROM ${threads} WHERE ${thisThread})`;

  const store: PostgresStore = {
    async migrate() {
      await migratePostgres(client, names.versions, postgresSchema(schemaOptions));
    },

    async listMessages(key, options = {}) {
      checkText.key(key);
      const { last, maxCharacters } = checkListOptions(options);
      const bounds = [last, maxCharacters].map((bound) => (Number.isFinite(bound) ? String(bound) : null));
      const text = `SELECT body FROM ${names.listMessages}($1, $2, $3::bigint, $4::bigint) AS body`;
      const rows = await query<{ body: string }>(text, [key.owner, key.threadId, ...bounds]);
      return rows.reverse().map(({ body }) => readMessage(body));
    },

    async appendMessages(key, messages, { title = "", replacesAnswerTo } = {}) {
      checkText.key(key);
      checkText("title", title);
      if (replacesAnswerTo !== undefined) checkText("answered prompt id", replacesAnswerTo);
      for (const message of messages) checkText.message(message);
      const batch = writeBatch(messages);
      if (batch.length === 0) return [];
      const [row] = await query<{ places: string }>(`SELECT ${names.appendMessages}($1, $2, $3, $4::bigint, $5, $6) AS places`, [
        ...[key.owner, key.threadId, title, String(Date.now())],
        replacesAnswerTo ?? null,
        JSON.stringify(batch.map(({ id, promptId, isComplete, body }) => [id, promptId, isComplete, body])),
      ]);
      const places: number[] = JSON.parse(row!.places);
      return places.map((place) => batch[place - 1]!.id);
    },

    async updateMessage(key, id, change) {
      checkText.key(key);
      checkText("message id", id);
      const message = [key.owner, key.threadId, id];
      for (;;) {
        const [row] = await query<{ body: string }>(`SELECT body FROM ${table} WHERE ${messagesHere} AND id = $3`, message);
        if (!row) return false;
        // Writes only if the body is still the one that was read. If not, another update has succeeded, so this loop ends.
        const swap = `UPDATE ${table} SET body = $5, complete = ($6::text = 'complete') WHERE ${messagesHere} AND id = $3 AND body = $4 RETURNING 1`;
        const { isComplete, body } = changeMessage(row.body, change);
        const swapped = await query(swap, [...message, row.body, body, isComplete ? "complete" : ""]);
        if (swapped.length > 0) return true;
      }
    },

    async deleteMessages(key, ids) {
      checkText.key(key);
      for (const id of ids) checkText("message id", id);
      await query(`SELECT FROM ${names.deleteMessages}($1, $2, $3)`, [key.owner, key.threadId, JSON.stringify(ids)]);
    },

    async listThreads(owner, page) {
      checkText("owner", owner);
      const text = `SELECT ${threadRow} FROM ${names.listThreads}($1, $2::bigint, $3::bigint, $4::bigint)`;
      const rows = await queryThreads(text, [owner, ...pageStart(page, cursorPattern), String(page.limit + 1)]);
      return readPage(rows, page.limit);
    },

    async getThread(key) {
      checkText.key(key);
      const [row] = await queryThreads(`SELECT ${threadRow} FROM ${threads} WHERE ${thisThread}`, [key.owner, key.threadId]);
      return row && readThread(row);
    },

    async createThread(key, title) {
      checkText.key(key);
      checkText("title", title);
      // The update changes nothing. Without it, nothing is returned if the row exists.
      const [row] = await queryThreads(
        `INSERT INTO ${threads} AS t (owner, thread_id, title, created_at, updated_at, activity)
         VALUES ($1, $2, $3, $4::bigint, $4::bigint, ${names.nextActivity}($1))
         ON CONFLICT (owner, thread_id) DO UPDATE SET title = t.title RETURNING ${threadRow}`,
        [key.owner, key.threadId, title, String(Date.now())],
      );
      return readThread(row!);
    },

    async renameThread(key, title) {
      checkText.key(key);
      checkText("title", title);
      const renamed = await query(`UPDATE ${threads} SET title = $3 WHERE ${thisThread} RETURNING 1`, [key.owner, key.threadId, title]);
      return renamed.length > 0;
    },

    async deleteThread(key) {
      checkText.key(key);
      const deleted = await query(`DELETE FROM ${threads} WHERE ${thisThread} RETURNING 1`, [key.owner, key.threadId]);
      return deleted.length > 0;
    },

    async deleteOwner(owner) {
      checkText("owner", owner);
      await query(`DELETE FROM ${threads} WHERE owner = $1`, [owner]);
    },
  };
  return migrateFirst(store, migrate);
}
