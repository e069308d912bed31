/** Keeps threads in a SQLite database, through the app's own driver. */
import { checkOptionNames, throwUsageError } from "../core/usage-error.ts";
import type { Thread, ThreadKey, ThreadStore } from "../core/store.ts";
import { activityBelow, checkListOptions, textCheck } from "./arguments.ts";
import { migrateFirst } from "./migrate-first.ts";
import { changeMessage, readMessage, writeBatch, type WrittenMessage } from "./message-json.ts";
import { retry } from "../sql/retry.ts";
import { sqliteSchema, sqliteTables, type SqliteSchemaOptions } from "./sqlite-schema.ts";
import { sqliteStatements, type SqliteStatements } from "./sqlite-statements.ts";

/** The methods of a prepared statement that the store calls. */
export interface SqliteStatement {
  /** Runs the statement for its effect. */
  run(...values: (string | number)[]): unknown;
  /** Returns the first row, or nothing. */
  get(...values: (string | number)[]): unknown;
  /** Returns all rows. */
  all(...values: (string | number)[]): unknown[];
}

/** The methods of a database that the store calls. `DatabaseSync` of node:sqlite, better-sqlite3 and bun:sqlite have them. */
export interface SqliteDatabase {
  /** Runs SQL without values. */
  exec(sql: string): unknown;
  /** Prepares a statement. */
  prepare(sql: string): SqliteStatement;
}

/** Options of {@link createSqliteStore}. */
export interface SqliteStoreOptions extends SqliteSchemaOptions {
  /**
   * `"full"`: everything that a call resolved for survives a power failure. `"normal"` commits several times faster, but a power failure
   * may lose the last moments. With both, nothing is lost when only the process ends. @default "full"
   */
  synchronous?: "full" | "normal" | undefined;
  /** The most milliseconds that a call waits for other connections that write to the file. @default 5000 */
  busyTimeout?: number | undefined;
  /**
   * Runs `migrate()` before the first call of the store: once, and again before the next call if it failed. Nothing happens when the
   * store is created. @default false
   */
  migrate?: boolean | undefined;
}

/** A {@link ThreadStore} in SQLite. */
export interface SqliteStore extends ThreadStore {
  /**
   * Brings the schema up to date: creates it or adds what is missing, keeps what is stored. Call it at the start of the app, as
   * often as you like and from as many processes. Also puts the file into WAL mode.
   */
  migrate(): Promise<void>;
}

interface ThreadRow {
  thread_id: string;
  title: string;
  created_at: number | bigint; // a bigint if the driver is configured for it
  updated_at: number | bigint;
  activity: number | bigint;
}

const checkText = textCheck(/\p{Surrogate}/u, "half a surrogate pair");

/**
 * Creates a store in a SQLite database, version 3.43 or newer. Pass `migrate: true`, or call `migrate()` before the first use.
 *
 * The store needs its own connection: it begins and ends transactions on it, and sets `synchronous`, `foreign_keys` and `busy_timeout`
 * (to 0, because the store waits for other writers itself and blocks nothing, see `busyTimeout`). Any number of connections and
 * processes may use the same file.
 *
 * The store refuses ids and titles with half a surrogate pair, which SQLite's UTF-8 cannot hold. Messages may contain them.
 *
 * @throws TypeError if the database lacks a method, for an unknown option, or for an invalid value.
 *
 * @example
 * const store = createSqliteStore(new DatabaseSync("chat.sqlite"), { migrate: true });
 */
export function createSqliteStore(database: SqliteDatabase, options: SqliteStoreOptions = {}): SqliteStore {
  const { prefix = "chat_", synchronous = "full", busyTimeout = 5000 } = options;
  if (typeof database?.exec !== "function" || typeof database.prepare !== "function") {
    throwUsageError('createSqliteStore needs an open database with exec and prepare, for example new DatabaseSync("chat.sqlite")');
  }
  checkOptionNames("createSqliteStore", options, ["prefix", "synchronous", "busyTimeout", "migrate"]);
  if (synchronous !== "full" && synchronous !== "normal") throwUsageError('synchronous must be "full" or "normal"');
  if (!(busyTimeout >= 0)) throwUsageError("busyTimeout must be a number of milliseconds");
  const sql = sqliteStatements(sqliteTables(prefix));

  // Setting `synchronous` reads the file. That fails while another process closes the file, or opens it after a crash: wait for it.
  database.exec(`PRAGMA busy_timeout = 1000; PRAGMA synchronous = ${synchronous}; PRAGMA foreign_keys = ON; PRAGMA busy_timeout = 0`);

  const statements = new Map<keyof SqliteStatements, SqliteStatement>();

  /** Prepares a statement when it is first used: the tables may not exist before. */
  function prepared(name: keyof SqliteStatements): SqliteStatement {
    let statement = statements.get(name);
    if (!statement) statements.set(name, (statement = database.prepare(sql[name])));
    return statement;
  }

  /** Runs the work without awaiting, so no other call of this process comes between. Retries while another connection writes. */
  function whenFree<T>(work: () => T): Promise<T> {
    return retry(work, isBusy, busyTimeout).catch((error: unknown) => {
      if (!/no such (table|column)/.test(String(error))) throw error;
      throw new Error(
        "The tables of the chat store are missing or old. Pass `migrate: true` to the store, or call `await store.migrate()` first.",
        { cause: error },
      );
    });
  }

  function inTransaction<T>(work: () => T): Promise<T> {
    return whenFree(() => {
      database.exec("BEGIN IMMEDIATE");
      try {
        const result = work();
        database.exec("COMMIT");
        return result;
      } catch (error) {
        try {
          database.exec("ROLLBACK");
        } catch {
          // SQLite has ended the transaction itself, as it does when the disk is full.
        }
        throw error;
      }
    });
  }

  function findThread({ owner, threadId }: ThreadKey): number | undefined {
    const row = prepared("findThread").get(owner, threadId);
    return (row as { key: number } | undefined)?.key;
  }

  /** Removes what a failed attempt left, and returns whether the batch may replace it. If not, it removes nothing. */
  function removeFailedAttempt(thread: number, promptId: string, batch: readonly WrittenMessage[]): boolean {
    const isThere = (id: string): boolean => Boolean(prepared("getMessage").get(thread, id));
    const answer = prepared("getAnswer").all(thread, promptId) as { id: string; complete: number | bigint }[];
    const broken = new Set(answer.map(({ id }) => id));
    if (!isThere(promptId) || answer.some(({ complete }) => complete) || batch.some(({ id }) => isThere(id) && !broken.has(id)))
      return false;
    for (const id of broken) prepared("deleteMessage").run(thread, id);
    return true;
  }

  function insertThread({ owner, threadId }: ThreadKey, title: string): number {
    const now = Date.now();
    return (prepared("insertThread").get(owner, threadId, title, now, now, owner) as { key: number }).key;
  }

  function selectThread({ owner, threadId }: ThreadKey): Thread | undefined {
    const row = prepared("getThread").get(owner, threadId);
    return row ? readThread(row as ThreadRow) : undefined;
  }

  function readSize(thread: string[], limit: number): number {
    const { size } = prepared("sumSizes").get(...thread, limit) as { size: number | bigint | null };
    return Number(size);
  }

  const store: SqliteStore = {
    async migrate() {
      await whenFree(() => database.exec("PRAGMA journal_mode = WAL"));
      await inTransaction(() => {
        const row = prepared("hasTable").get(`${prefix}versions`) && prepared("version").get();
        const { version } = (row ?? { version: 0 }) as { version: number };
        for (const step of sqliteSchema({ prefix })) if (step.version > version) database.exec(step.sql);
      });
    },

    async listMessages(key, options = {}) {
      checkText.key(key);
      const { last, maxCharacters } = checkListOptions(options);
      const thread = [key.owner, key.threadId];
      const limit = Number.isFinite(last) ? last : -1;
      const rows = await whenFree(() => {
        // To add up sizes is several times cheaper than to find where they reach a sum, and few threads need that.
        const isSmall = !Number.isFinite(maxCharacters) || readSize(thread, limit) < maxCharacters;
        if (isSmall) return prepared("listMessages").all(...thread, limit);
        return prepared("listWithin").all(...thread, ...thread, limit, maxCharacters);
      });
      return (rows as { body: string }[]).reverse().map(({ body }) => readMessage(body));
    },

    async appendMessages(key, messages, { title = "", replacesAnswerTo } = {}) {
      checkText.key(key);
      checkText("title", title);
      if (replacesAnswerTo !== undefined) checkText("answered prompt id", replacesAnswerTo);
      for (const message of messages) checkText.message(message);
      const batch = writeBatch(messages);
      if (batch.length === 0) return [];
      return inTransaction(() => {
        const found = findThread(key);
        if (replacesAnswerTo !== undefined && !(found !== undefined && removeFailedAttempt(found, replacesAnswerTo, batch))) return [];

        const thread = found ?? insertThread(key, title);
        const insert = prepared("insertMessage");
        const stored = batch.filter(({ id, promptId, isComplete, body }) => insert.get(thread, id, promptId, Number(isComplete), body));
        if (stored.length > 0) prepared("touchThread").run(Date.now(), key.owner, thread);
        return stored.map(({ id }) => id);
      });
    },

    async updateMessage(key, id, change) {
      checkText.key(key);
      checkText("message id", id);
      return inTransaction(() => {
        const thread = findThread(key);
        if (thread === undefined) return false;
        const row = prepared("getMessage").get(thread, id);
        if (!row) return false;
        const { seq, body } = row as { seq: number; body: string };
        const changed = changeMessage(body, change);
        prepared("updateMessage").run(Number(changed.isComplete), changed.body, seq);
        return true;
      });
    },

    async deleteMessages(key, ids) {
      checkText.key(key);
      for (const id of ids) checkText("message id", id);
      return inTransaction(() => {
        const thread = findThread(key);
        if (thread === undefined) return;
        for (const id of ids) prepared("deleteMessage").run(thread, id);
      });
    },

    async listThreads(owner, page) {
      checkText("owner", owner);
      const below = activityBelow(page);
      const rows = await whenFree(() => prepared("listThreads").all(owner, below, page.limit + 1) as ThreadRow[]);
      const given = rows.slice(0, page.limit);
      return {
        threads: given.map(readThread),
        ...(rows.length > page.limit && { nextCursor: String(given.at(-1)!.activity) }),
      };
    },

    async getThread(key) {
      checkText.key(key);
      return whenFree(() => selectThread(key));
    },

    async createThread(key, title) {
      checkText.key(key);
      checkText("title", title);
      return inTransaction(() => {
        if (findThread(key) === undefined) insertThread(key, title);
        return selectThread(key)!;
      });
    },

    async renameThread(key, title) {
      checkText.key(key);
      checkText("title", title);
      return inTransaction(() => {
        const thread = findThread(key);
        if (thread !== undefined) prepared("renameThread").run(title, thread);
        return thread !== undefined;
      });
    },

    async deleteThread(key) {
      checkText.key(key);
      return inTransaction(() => {
        const thread = findThread(key);
        if (thread === undefined) return false;
        prepared("deleteMessages").run(thread);
        prepared("deleteThread").run(thread);
        return true;
      });
    },

    async deleteOwner(owner) {
      checkText("owner", owner);
      return inTransaction(() => {
        prepared("deleteMessagesOf").run(owner);
        prepared("deleteThreadsOf").run(owner);
      });
    },
  };
  return migrateFirst(store, options.migrate);
}

function readThread({ thread_id, title, created_at, updated_at }: ThreadRow): Thread {
  return { threadId: thread_id, title, createdAt: Number(created_at), updatedAt: Number(updated_at) };
}

/** Returns whether another connection holds the lock: SQLite's primary result code 5, which each driver reports differently. */
function isBusy(error: unknown): boolean {
  const { code, errno, errcode } = error as { code?: unknown; errno?: unknown; errcode?: unknown };
  const number = errcode ?? errno; // node:sqlite and bun:sqlite. The lowest byte of an extended code is the primary code
  return typeof number === "number" ? (number & 0xff) === 5 : typeof code === "string" && code.startsWith("SQLITE_BUSY");
}
