/** Stores the threads in a SQLite file, or in the database of DATABASE_URL or REDIS_URL. */
import { DatabaseSync } from "node:sqlite";
import type { ThreadStore } from "chat-handler";
import { createMySqlStore } from "chat-handler/mysql";
import { createPostgresStore } from "chat-handler/postgres";
import { createRedisStore } from "chat-handler/redis";
import { createSqliteStore } from "chat-handler/sqlite";

export async function openStore(): Promise<ThreadStore> {
  const { DATABASE_URL, REDIS_URL, SQLITE_FILE = "chat.sqlite" } = process.env;
  if (DATABASE_URL?.startsWith("mysql:")) {
    const { createPool } = await import("mysql2/promise");
    const store = createMySqlStore(createPool(DATABASE_URL));
    await store.migrate();
    return store;
  }
  if (DATABASE_URL) {
    const { Pool } = await import("pg");
    const pool = new Pool({ connectionString: DATABASE_URL });
    pool.on("error", console.error); // an idle connection was lost; the next query opens another
    return createPostgresStore(pool, { migrate: true });
  }
  if (REDIS_URL) {
    const { createClient } = await import("redis");
    const redis = createClient({ url: REDIS_URL });
    redis.on("error", console.error);
    return createRedisStore(await redis.connect());
  }
  return createSqliteStore(new DatabaseSync(SQLITE_FILE), { migrate: true });
}
