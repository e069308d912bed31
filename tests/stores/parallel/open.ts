/** Stores that two processes open on the same data; `place` is a file, a schema, an address or a prefix of keys. */
import { DatabaseSync } from "node:sqlite";
import { Redis } from "ioredis";
import { createPool } from "mysql2/promise";
import { Pool } from "pg";
import { createClient } from "redis";
import { createMySqlStore } from "../../../src/mysql.ts";
import { createPostgresStore } from "../../../src/postgres.ts";
import { createRedisStore } from "../../../src/redis.ts";
import { createSqliteStore, type SqliteDatabase } from "../../../src/sqlite.ts";
import { installed } from "../../services/installed.ts";
import type { Instance } from "./kit-run.ts";

type SqliteFile = SqliteDatabase & { close(): unknown };

/** better-sqlite3, if it is installed. */
export const Better = await installed<new (file: string) => SqliteFile>("./node_modules/better-sqlite3/lib/index.js");

const { DATABASE_URL = "", REDIS_URL = "" } = process.env;

async function openSqlite(database: SqliteFile): Promise<Instance> {
  const store = createSqliteStore(database, { busyTimeout: 20_000 });
  await store.migrate();
  return { store, close: () => database.close() };
}

const openers = {
  "node:sqlite": (file: string) => openSqlite(new DatabaseSync(file)),
  "better-sqlite3": (file: string) => openSqlite(new Better!(file)),
  async pg(schema: string): Promise<Instance> {
    const pool = new Pool({ connectionString: DATABASE_URL, max: 5 });
    const store = createPostgresStore(pool, { schema });
    await store.migrate();
    return { store, close: () => pool.end() };
  },
  async mysql2(url: string): Promise<Instance> {
    const pool = createPool({ uri: url, connectionLimit: 5 });
    const store = createMySqlStore(pool);
    await store.migrate();
    return { store, close: () => pool.end() };
  },
  async "node-redis"(prefix: string): Promise<Instance> {
    const client = createClient({ url: REDIS_URL });
    await client.connect();
    return { store: createRedisStore(client, { prefix }), close: () => client.close() };
  },
  async ioredis(prefix: string): Promise<Instance> {
    const client = new Redis(REDIS_URL);
    return { store: createRedisStore(client, { prefix }), close: () => client.quit() };
  },
};

export type Client = keyof typeof openers;

/** Opens an instance as an app does when it starts: with `migrate()`, also where the other process does so at that moment. */
export const open = (client: Client, place: string): Promise<Instance> => openers[client](place);
