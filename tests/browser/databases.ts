/** Where a demo keeps its threads: a database of its own, read beside it. */
import { randomUUID } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { createPool } from "mysql2/promise";
import { Client, Pool } from "pg";
import { createClient } from "redis";
import type { ThreadStore } from "../../src/index.ts";
import { createMySqlStore } from "../../src/mysql.ts";
import { createPostgresStore } from "../../src/postgres.ts";
import { createRedisStore } from "../../src/redis.ts";
import { createSqliteStore } from "../../src/sqlite.ts";
import { createMysqlDatabase } from "../support/mysql-database.ts";

export interface Database {
  /** What tells the demo to keep its threads here. */
  env: Record<string, string>;
  /** What is stored, through a connection of the test's own. */
  store: ThreadStore;
  close(): Promise<void>;
}

export async function openSqliteFile(): Promise<Database> {
  const folder = mkdtempSync(join(tmpdir(), "c1-chat-"));
  const file = join(folder, "chat.sqlite");
  const database = new DatabaseSync(file);
  return {
    env: { SQLITE_FILE: file },
    store: createSqliteStore(database),
    async close() {
      database.close();
      rmSync(folder, { recursive: true });
    },
  };
}

/** A new database on the server of `url`: the demo's tables have fixed names. */
export async function openPostgres(url: string): Promise<Database> {
  const name = `demo_${randomUUID().replaceAll("-", "")}`;
  const admin = new Client({ connectionString: url });
  await admin.connect();
  await admin.query(`CREATE DATABASE ${name}`);
  const own = new URL(url);
  own.pathname = name;
  const pool = new Pool({ connectionString: own.href, max: 1 });
  return {
    env: { DATABASE_URL: own.href },
    store: createPostgresStore(pool),
    async close() {
      await pool.end();
      await admin.query(`DROP DATABASE ${name}`);
      await admin.end();
    },
  };
}

/** A new database on the server of `url`, for the same reason. */
export async function openMysql(server: string): Promise<Database> {
  const { url, drop } = await createMysqlDatabase(server);
  const pool = createPool({ uri: url, connectionLimit: 1 });
  return {
    env: { DATABASE_URL: url },
    store: createMySqlStore(pool),
    async close() {
      await pool.end();
      await drop();
    },
  };
}

/** The database of `url` itself: what each browser stores there is its own, and is for the test to delete. */
export async function openRedis(url: string): Promise<Database> {
  const client = createClient({ url });
  await client.connect();
  return { env: { REDIS_URL: url }, store: createRedisStore(client), close: () => client.close() };
}
