/** The SQLite schema and its versions. */
import { checkOptionNames } from "../core/usage-error.ts";
import { checkIdentifier } from "../sql/identifier.ts";
import type { Migration } from "../sql/migration.ts";

/** Options of {@link sqliteSchema}. */
export interface SqliteSchemaOptions {
  /** The beginning of the names of tables and indexes. At most 40 letters, digits and underscores. @default "chat_" */
  prefix?: string | undefined;
}

/** Quoted names of the tables. */
export interface SqliteTables {
  threads: string;
  messages: string;
  /** Has a row for each version of the schema that was applied. */
  versions: string;
}

/** Returns the quoted names of the tables under a prefix. */
export function sqliteTables(prefix: string): SqliteTables {
  checkIdentifier("prefix", prefix);
  return { threads: `"${prefix}threads"`, messages: `"${prefix}messages"`, versions: `"${prefix}versions"` };
}

/**
 * Returns the schema as SQL, for an app that runs its own migrations. Before the first step, run `PRAGMA journal_mode = WAL` outside a
 * transaction, so that readers and a writer do not wait for each other. Then run each step once, in order, in a transaction. Otherwise
 * call the store's `migrate()`, which does the same.
 *
 * @throws TypeError for an unknown option or an invalid prefix.
 *
 * @example
 * for (const { version, name, sql } of sqliteSchema()) console.log(`-- ${version}: ${name}\n${sql}`);
 */
export function sqliteSchema(options: SqliteSchemaOptions = {}): Migration[] {
  const { prefix = "chat_" } = options;
  checkOptionNames("sqliteSchema", options, ["prefix"]);
  const { threads, messages, versions } = sqliteTables(prefix);
  return [
    {
      version: 1,
      name: "threads and messages",
      // `seq`, the rowid, orders the messages: SQLite has one writer at a time, so a batch is contiguous. AUTOINCREMENT never uses the
      // key of a deleted thread again, so nothing of that thread can appear in another.
      sql: `
CREATE TABLE ${versions} (version INTEGER PRIMARY KEY) STRICT;
CREATE TABLE ${threads} (
  key INTEGER PRIMARY KEY AUTOINCREMENT,
  owner TEXT NOT NULL,
  thread_id TEXT NOT NULL,
  title TEXT NOT NULL,
  created_at INTEGER NOT NULL,
  updated_at INTEGER NOT NULL,
  activity INTEGER NOT NULL,
  UNIQUE (owner, thread_id)
) STRICT;
CREATE TABLE ${messages} (
  seq INTEGER PRIMARY KEY,
  thread INTEGER NOT NULL REFERENCES ${threads} (key),
  id TEXT NOT NULL,
  prompt_id TEXT NOT NULL,
  complete INTEGER NOT NULL,
  body TEXT NOT NULL,
  UNIQUE (thread, id)
) STRICT;
CREATE INDEX "${prefix}messages_in_order" ON ${messages} (thread, seq);
CREATE INDEX "${prefix}answers_by_prompt" ON ${messages} (thread, prompt_id) WHERE id <> prompt_id;
INSERT INTO ${versions} VALUES (1);
`,
    },
    {
      version: 2,
      name: "threads by latest activity",
      sql: `
CREATE UNIQUE INDEX "${prefix}threads_by_activity" ON ${threads} (owner, activity);
INSERT INTO ${versions} VALUES (2);
`,
    },
  ];
}
