/** Threads and coordination in PostgreSQL: pg, PGlite, Neon, postgres.js. */
export { createPostgresCoordinator } from "./lib/coordination/postgres/coordinator.ts";
export type { PostgresCoordinator, PostgresCoordinatorOptions } from "./lib/coordination/postgres/coordinator.ts";
export { postgresCoordinatorSchema } from "./lib/coordination/postgres/schema.ts";
export type { Migration } from "./lib/sql/migration.ts";
export type { PostgresClient, PostgresResult, PostgresSchemaOptions } from "./lib/sql/postgres.ts";
export { createPostgresStore } from "./lib/stores/postgres.ts";
export type { PostgresStore, PostgresStoreOptions } from "./lib/stores/postgres.ts";
export { postgresSchema } from "./lib/stores/postgres-schema.ts";
