/** Where the threads are, and how several servers share the answers that are being written. */
import { DatabaseSync } from "node:sqlite";
import type { ChatHandlerOptions, ThreadStore } from "chat-handler";
import { createMySqlStore } from "chat-handler/mysql";
import { createPostgresCoordinator, createPostgresStore } from "chat-handler/postgres";
import { createRedisCoordinator, createRedisStore } from "chat-handler/redis";
import { createSqliteStore } from "chat-handler/sqlite";

/** A store, and the coordinator of its database if it has one. */
export interface Storage {
  store: ThreadStore;
  coordinator?: ChatHandlerOptions["coordinator"];
}

/** Opens the database of DATABASE_URL or REDIS_URL, or a SQLite file. */
export async function openStorage(): Promise<Storage> {
  const { DATABASE_URL, REDIS_URL, SQLITE_FILE = "chat.sqlite" } = process.env;
  if (DATABASE_URL?.startsWith("mysql:")) {
    const { createPool } = await import("mysql2/promise");
    const store = createMySqlStore(createPool(DATABASE_URL));
    await store.migrate();
    return { store };
  }
  if (DATABASE_URL) {
    const { Pool } = await import("pg");
    const pool = new Pool({ connectionString: DATABASE_URL });
    pool.on("error", ({ message }) => console.error(message)); // an idle connection was lost; the next query opens another
    return { store: createPostgresStore(pool, { migrate: true }), coordinator: createPostgresCoordinator(pool, { migrate: true }) };
  }
  if (REDIS_URL) {
    const { createClient } = await import("redis");
    const redis = createClient({ url: REDIS_URL });
    const subscriber = redis.duplicate();
    for (const client of [redis, subscriber]) await client.on("error", console.error).connect();
    return { store: createRedisStore(redis), coordinator: createRedisCoordinator(redis, { subscriber }) };
  }
  return { store: createSqliteStore(new DatabaseSync(SQLITE_FILE), { migrate: true }) };
}
