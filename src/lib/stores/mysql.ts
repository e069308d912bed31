/** Threads in MySQL and MariaDB, through the app's own pool. */
import { checkOptionNames, throwUsageError } from "../core/usage-error.ts";
import type { ThreadStore } from "../core/store.ts";
import { checkListOptions, textCheck } from "./arguments.ts";
import { migrateFirst } from "./migrate-first.ts";
import { changeMessage, readMessage, writeBatch, type WrittenMessage } from "./message-json.ts";
import { mysqlProcedures, mysqlTables, type MySqlProcedureName } from "./mysql-procedures.ts";
import { mysqlSchema, type MySqlSchemaOptions } from "./mysql-schema.ts";
import { retry } from "../sql/retry.ts";
import { pageStart, readPage, readThread, type ThreadRow } from "./thread-row.ts";

/**
 * The part of a pool that the store uses: pools of `mysql2/promise` have it. The `mariadb` package takes one line:
 * `{ query: async (sql) => [await pool.query(sql)], execute: async (sql, values) => [await pool.execute(sql, values)] }`.
 */
export interface MySqlClient {
  /** Runs one statement without values. Only `migrate()` calls it: MySQL cannot prepare all that creates a schema. */
  query(sql: string): Promise<MySqlResult>;
  /** Prepares and runs one statement with the values of its `?`, as a transaction of its own. */
  execute(sql: string, values: (string | null)[]): Promise<MySqlResult>;
}

/** The result of a statement, and what the client adds to it. For a `CALL` the result is an array with the rows first. */
export type MySqlResult = readonly [result: unknown, ...rest: unknown[]];

/** Options of {@link createMySqlStore}. */
export interface MySqlStoreOptions extends MySqlSchemaOptions {
  /**
   * Runs `migrate()` before the first call of the store: once, and again before the next call if it failed. Nothing happens when the
   * store is created. @default false
   */
  migrate?: boolean | undefined;
}

/** A {@link ThreadStore} in MySQL or MariaDB. */
export interface MySqlStore extends ThreadStore {
  /**
   * Brings the schema up to date: creates what is missing and keeps what is stored. Call it at the start of the app or when you deploy
   * it, as often as you like and from as many processes. It also creates procedures again that a dump without `--routines` left out.
   */
  migrate(): Promise<void>;
}

const cursorPattern = /^([0-9]{1,15})-([0-9a-f]{64})$/;

/** How long a statement that met another one is retried, in milliseconds. */
const conflictTimeout = 5000;

const checkText = textCheck(/\p{Surrogate}/u, "half a surrogate pair");

/**
 * Creates a store in MySQL 8 or MariaDB 10.11 or newer. Pass `migrate: true`, or call `migrate()` before the first use.
 *
 * Each call is one statement (an update of a message two): the `CALL` of a procedure of the schema. Deadlocks are retried for five
 * seconds. Any number of processes may use the same tables, under any isolation level.
 *
 * Pass a pool, and not a connection on which your app has begun a transaction: a call of the store ends it. Its connections must
 * have the charset `utf8mb4` and autocommit on, which are the defaults of mysql2; otherwise the first call rejects.
 *
 * Ids and titles with half a surrogate pair are refused: MySQL cannot hold them. Messages may have them. Ids may be of any length.
 *
 * @throws TypeError when the pool lacks a method or has callbacks instead of promises, or for an option that is unknown or wrong.
 *
 * @example
 * import { createPool } from "mysql2/promise";
 *
 * const store = createMySqlStore(createPool("mysql://user:password@localhost/app"), { migrate: true });
 */
export function createMySqlStore(client: MySqlClient, options: MySqlStoreOptions = {}): MySqlStore {
  if (typeof client?.execute !== "function" || typeof client.query !== "function") {
    throwUsageError(
      "createMySqlStore needs a pool with query(sql) and execute(sql, values), for example createPool(url) of mysql2/promise",
    );
  }
  if ("promise" in client) throwUsageError("createMySqlStore needs a pool that returns promises: pass pool.promise()");
  checkOptionNames("createMySqlStore", options, ["prefix", "migrate"]);
  const { prefix = "chat_", migrate } = options;
  const tables = mysqlTables(prefix);
  const procedures = mysqlProcedures(prefix, tables);

  let checked: Promise<void> | undefined;

  /** Once: connections with another charset would store "?" for characters that it lacks, and make two ids one. */
  function checkConnection(): Promise<void> {
    checked ??= client.execute("SELECT @@character_set_client, @@character_set_results, @@autocommit", []).then(([rows]) => {
      const [sent, received, autocommit] = valuesOf((rows as object[])[0]!);
      if (sent !== "utf8mb4" || received !== "utf8mb4") {
        throw new Error(`The MySQL pool has the charset ${String(sent)}. Set it to utf8mb4, so that no character is lost`);
      }
      if (Number(autocommit) !== 1)
        throw new Error("The MySQL pool has autocommit off. Turn it on, so that calls of the store are committed");
    });
    return checked.catch((error: unknown) => {
      checked = undefined;
      throw error;
    });
  }

  /** Calls a procedure and returns the rows that it selects, or `undefined` if it selects nothing. */
  async function call(name: MySqlProcedureName, ...values: (string | null)[]): Promise<unknown[][] | undefined> {
    await checkConnection();
    const sql = `CALL \`${procedures[name].name}\`(${values.map(() => "?").join(", ")})`;
    try {
      const [result] = await retry(() => client.execute(sql, values), isConflict, conflictTimeout);
      return Array.isArray(result) ? (result[0] as object[]).map(valuesOf) : undefined;
    } catch (error) {
      if (!isMissingSchema(error)) throw error;
      throw new Error(
        "The tables of the chat store are missing or old. Pass `migrate: true` to the store, or call `await store.migrate()` first.",
        { cause: error },
      );
    }
  }

  const select = async (name: MySqlProcedureName, ...values: (string | null)[]): Promise<unknown[][]> =>
    (await call(name, ...values)) ?? [];

  /** Returns whether the last step was recorded and every procedure exists. */
  async function isUpToDate(): Promise<boolean> {
    const names = Object.values(procedures).map(({ name }) => `'${name}'`);
    const [[versions], [routines]] = await Promise.all([
      client.query(`SELECT version FROM ${tables.versions} WHERE version = ${mysqlSchema({ prefix }).at(-1)!.version}`),
      client.query(`SELECT ROUTINE_NAME FROM information_schema.ROUTINES
        WHERE ROUTINE_SCHEMA = DATABASE() AND ROUTINE_NAME IN (${names.join(", ")})`),
    ]);
    return (versions as object[]).length > 0 && (routines as object[]).length === names.length;
  }

  const store: MySqlStore = {
    async migrate() {
      await checkConnection();
      if (await unless(isMissingSchema, isUpToDate())) return;
      const statements = mysqlSchema({ prefix }).flatMap((step) => step.statements);
      for (const statement of statements) {
        await unless(
          isThereAlready,
          retry(() => client.query(statement), isConflict, conflictTimeout),
        );
      }
    },

    async listMessages(key, options = {}) {
      checkText.key(key);
      const { last, maxCharacters } = checkListOptions(options);
      const limit = String(Math.min(last, Number.MAX_SAFE_INTEGER));
      const rows = await select(
        "listMessages",
        key.owner,
        key.threadId,
        limit,
        Number.isFinite(maxCharacters) ? String(maxCharacters) : null,
      );
      return rows.reverse().map(([body]) => readMessage(body as string));
    },

    async appendMessages(key, messages, { title = "", replacesAnswerTo } = {}) {
      checkText.key(key);
      checkText("title", title);
      if (replacesAnswerTo !== undefined) checkText("answered prompt id", replacesAnswerTo);
      for (const message of messages) checkText.message(message);
      const batch = writeBatch(messages);
      if (batch.length === 0) return [];
      const values = [key.owner, key.threadId, title, String(Date.now()), replacesAnswerTo ?? null];
      const [message] = batch;
      const rows =
        batch.length === 1
          ? await call("appendMessage", ...values, message!.id, message!.promptId, message!.isComplete ? "1" : "0", message!.body)
          : await call("appendMessages", ...values, String(batch.length), writeJson(batch));
      const stored = rows ? rows.map(([place]) => batch[Number(place) - 1]!) : batch;
      return stored.map(({ id }) => id);
    },

    async updateMessage(key, id, change) {
      checkText.key(key);
      checkText("message id", id);
      for (;;) {
        const [row] = await select("getMessage", key.owner, key.threadId, id);
        if (!row) return false;
        const old = row[0] as string;
        const { isComplete, body } = changeMessage(old, change);
        // Swapped only if it is still the message that was read. If not, another call has succeeded, so this ends.
        const swapped = await select("swapMessage", key.owner, key.threadId, id, old, isComplete ? "1" : "0", body);
        if (swapped.length > 0) return true;
      }
    },

    async deleteMessages(key, ids) {
      checkText.key(key);
      for (const id of ids) checkText("message id", id);
      await call("deleteMessages", key.owner, key.threadId, JSON.stringify(ids));
    },

    async listThreads(owner, page) {
      checkText("owner", owner);
      const rows = await select("listThreads", owner, ...pageStart(page, cursorPattern), String(page.limit + 1));
      return readPage(rows.map(readRow), page.limit);
    },

    async getThread(key) {
      checkText.key(key);
      const [row] = await select("getThread", key.owner, key.threadId);
      return row && readThread(readRow(row));
    },

    async createThread(key, title) {
      checkText.key(key);
      checkText("title", title);
      const [row] = await select("createThread", key.owner, key.threadId, title, String(Date.now()));
      return readThread(readRow(row!));
    },

    async renameThread(key, title) {
      checkText.key(key);
      checkText("title", title);
      return (await select("renameThread", key.owner, key.threadId, title)).length > 0;
    },

    async deleteThread(key) {
      checkText.key(key);
      const [[deleted] = []] = await select("deleteThreads", key.owner, key.threadId);
      return Number(deleted) > 0;
    },

    async deleteOwner(owner) {
      checkText("owner", owner);
      await call("deleteThreads", owner, null);
    },
  };
  return migrateFirst(store, migrate);
}

/** Returns a batch as the procedure parses it. */
const writeJson = (batch: readonly WrittenMessage[]): string =>
  JSON.stringify(batch.map(({ id, promptId, isComplete, body }) => [id, promptId, Number(isComplete), body]));

/** The values of a row in the order of its columns: rows are objects, or arrays if the pool has `rowsAsArray`. */
const valuesOf = (row: object): unknown[] => Object.values(row);

/** Numbers are strings if the pool has `bigNumberStrings`. */
function readRow([threadId, title, createdAt, updatedAt, activity, hash]: unknown[]): ThreadRow {
  return [threadId as string, title as string, Number(createdAt), Number(updatedAt), Number(activity), hash as string];
}

/** Ignores an error of one kind. */
function unless<T>(isExpected: (error: unknown) => boolean, work: Promise<T>): Promise<T | undefined> {
  return work.catch((error: unknown) => {
    if (!isExpected(error)) throw error;
    return undefined;
  });
}

/** Returns whether the statement failed only because of another one, and may be run again. */
function isConflict(error: unknown): boolean {
  const { errno } = error as { errno?: unknown };
  return (
    errno === 1213 || // deadlock
    errno === 1205 || // lock wait timeout
    errno === 1020 || // MariaDB with innodb_snapshot_isolation: changed since the transaction began
    errno === 3101 // group replication: rolled back at commit
  );
}

/** Returns whether a table, column or procedure does not exist. */
function isMissingSchema(error: unknown): boolean {
  const { errno } = error as { errno?: unknown };
  return errno === 1146 || errno === 1054 || errno === 1305;
}

/** Returns whether a table, procedure or row exists that a statement of the schema should create. */
function isThereAlready(error: unknown): boolean {
  const { errno } = error as { errno?: unknown };
  return errno === 1050 || errno === 1304 || errno === 1062;
}
