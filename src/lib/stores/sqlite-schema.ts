/** The SQLite schema and its versions. */
import { checkIdentifier, checkOptionNames } from "./arguments.ts";
import type { Migration } from "./migration.ts";

/** Options of {@link sqliteSchema}. */
export interface SqliteSchemaOptions {
  /** What the names of tables and indexes begin with. At most 40 letters, digits and underscores. @default "chat_" */
  prefix?: string | undefined;
}

/** Quoted names of the tables. */
export interface SqliteTables {
  threads: string;
  messages: string;
  /** Holds a row for each version of the schema that was applied. */
  versions: string;
}

/** The names of the tables under a prefix. */
export function sqliteTables(prefix: string): SqliteTables {
  checkIdentifier("prefix", prefix);
  return { threads: `"${prefix}threads"`, messages: `"${prefix}messages"`, versions: `"${prefix}versions"` };
}

/**
 * The schema as SQL, for an app that runs migrations of its own. Run each step once, in order, in a transaction; before the first,
 * outside a transaction, `PRAGMA journal_mode = WAL`, so that readers and a writer do not wait for each other. Otherwise
 * call the store's `migrate()`, which does just that.
 *
 * @throws TypeError for an unknown option or a prefix that is no name.
 */
export function sqliteSchema(options: SqliteSchemaOptions = {}): Migration[] {
  const { prefix = "chat_" } = options;
  checkOptionNames("sqliteSchema", options, ["prefix"]);
  const { threads, messages, versions } = sqliteTables(prefix);
  return [
    {
      version: 1,
      name: "threads and messages",
      // Messages are in the order of `seq`, the rowid: SQLite has one writer at a time, so a batch is contiguous. Keys of threads
      // are never used again, so that nothing of a deleted thread can turn up in another.
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
