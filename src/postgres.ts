/** Threads in PostgreSQL: pg, PGlite, Neon, postgres.js. */
export type { Migration } from "./lib/stores/migration.ts";
export { createPostgresStore } from "./lib/stores/postgres.ts";
export type { PostgresClient, PostgresResult, PostgresStore, PostgresStoreOptions } from "./lib/stores/postgres.ts";
export { postgresSchema } from "./lib/stores/postgres-schema.ts";
export type { PostgresSchemaOptions } from "./lib/stores/postgres-schema.ts";
