/** The stores of the simulation. */
import { randomUUID } from "node:crypto";
import { DatabaseSync } from "node:sqlite";
import { PGlite } from "@electric-sql/pglite";
import { createConnection } from "mysql2/promise";
import { Client } from "pg";
import { createClient } from "redis";
import { vi } from "vitest";
import { createMySqlStore } from "../../src/mysql.ts";
import { createPostgresStore } from "../../src/postgres.ts";
import { createRedisStore } from "../../src/redis.ts";
import { createSqliteStore } from "../../src/sqlite.ts";
import { createMysqlDatabase } from "../support/mysql-database.ts";
import type { OpenStore } from "./simulate.ts";

const { DATABASE_URL, REDIS_URL } = process.env;

export async function openSqlite(): Promise<OpenStore> {
  const database = new DatabaseSync(":memory:");
  const store = createSqliteStore(database);
  await store.migrate();
  return { store, close: () => database.close() };
}

/** Opens it without its timers. They would call it while the clock is the schedule's, and then it asks for the next millisecond for ever. */
export async function openPglite(): Promise<OpenStore> {
  const timers = vi.spyOn(globalThis, "setTimeout");
  const database = await PGlite.create();
  const store = createPostgresStore(database);
  await store.migrate();
  for (const { value } of timers.mock.results) clearTimeout(value as NodeJS.Timeout);
  timers.mockRestore();
  return { store, close: () => database.close() };
}

/** Opens one connection instead of a pool, because a pool sets timers, and only the schedule advances the clock. */
async function openPostgres(): Promise<OpenStore> {
  const client = new Client({ connectionString: DATABASE_URL ?? "" });
  await client.connect();
  const schema = `simulation_${randomUUID().slice(0, 8)}`;
  await client.query(`CREATE SCHEMA ${schema}`);
  const store = createPostgresStore(client, { schema });
  await store.migrate();
  const close = async () => {
    await client.query(`DROP SCHEMA ${schema} CASCADE`);
    await client.end();
  };
  return { store, close };
}

async function openMySql(): Promise<OpenStore> {
  const { url, drop } = await createMysqlDatabase();
  const connection = await createConnection(url);
  const store = createMySqlStore(connection);
  await store.migrate();
  const close = async () => {
    await connection.end();
    await drop();
  };
  return { store, close };
}

async function openRedis(): Promise<OpenStore> {
  const client = createClient({ url: REDIS_URL ?? "" });
  await client.connect();
  const store = createRedisStore(client, { prefix: `simulation-${randomUUID()}:` });
  return { store, close: () => client.close() };
}

/** The databases that need a server, with the variable that has its address. */
export const databases: readonly [name: string, variable: "DATABASE_URL" | "MYSQL_URL" | "REDIS_URL", open: () => Promise<OpenStore>][] = [
  ["PostgreSQL", "DATABASE_URL", openPostgres],
  ["MySQL", "MYSQL_URL", openMySql],
  ["Redis", "REDIS_URL", openRedis],
];
