/** Threads in SQLite: `node:sqlite`, better-sqlite3, `bun:sqlite`. */
export type { Migration } from "./lib/sql/migration.ts";
export { createSqliteStore } from "./lib/stores/sqlite.ts";
export type { SqliteDatabase, SqliteStatement, SqliteStore, SqliteStoreOptions } from "./lib/stores/sqlite.ts";
export { sqliteSchema } from "./lib/stores/sqlite-schema.ts";
export type { SqliteSchemaOptions } from "./lib/stores/sqlite-schema.ts";
