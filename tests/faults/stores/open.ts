/** Opens stores like an app, each with its own client. */
import { DatabaseSync } from "node:sqlite";
import { Redis } from "ioredis";
import { createPool } from "mysql2/promise";
import { Pool } from "pg";
import { createClient } from "redis";
import type { ThreadStore } from "../../../src/index.ts";
import { createMySqlStore } from "../../../src/mysql.ts";
import { createPostgresStore } from "../../../src/postgres.ts";
import { createRedisStore } from "../../../src/redis.ts";
import { createSqliteStore } from "../../../src/sqlite.ts";

export interface OpenStore {
  store: ThreadStore;
  close(): unknown;
}

export const openers = {
  sqlite(file: string): OpenStore {
    const database = new DatabaseSync(file);
    return { store: createSqliteStore(database, { busyTimeout: 20_000 }), close: () => database.close() };
  },
  postgres(connectionString: string): OpenStore {
    const pool = new Pool({ connectionString, max: 8 });
    pool.on("error", () => {}); // errors of idle connections; each call reports its own errors
    return { store: createPostgresStore(pool), close: () => pool.end() };
  },
  mysql(url: string): OpenStore {
    const pool = createPool({ uri: url, connectionLimit: 8 });
    return { store: createMySqlStore(pool), close: () => pool.end() };
  },
  async nodeRedis(url: string): Promise<OpenStore> {
    const client = createClient({ url, socket: { reconnectStrategy: 50 } });
    client.on("error", () => {});
    await client.connect();
    return { store: createRedisStore(client), close: () => client.destroy() };
  },
  ioredis(url: string): OpenStore {
    const client = new Redis(url, { retryStrategy: () => 50 });
    client.on("error", () => {});
    return { store: createRedisStore(client), close: () => client.disconnect() };
  },
};

export type Kind = keyof typeof openers;
