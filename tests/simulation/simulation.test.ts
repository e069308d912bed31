/** Random schedules over every store. Most of them use the memory store, because it is fast. */
import { randomUUID } from "node:crypto";
import { DatabaseSync } from "node:sqlite";
import { PGlite } from "@electric-sql/pglite";
import { createConnection } from "mysql2/promise";
import { Client } from "pg";
import { createClient } from "redis";
import { createMemoryStore } from "../../src/index.ts";
import { createMySqlStore } from "../../src/mysql.ts";
import { createPostgresStore } from "../../src/postgres.ts";
import { createRedisStore } from "../../src/redis.ts";
import { createSqliteStore } from "../../src/sqlite.ts";
import { describeWith, remedyFor } from "../services/include.ts";
import { createMysqlDatabase } from "../support/mysql-database.ts";
import { normalRuns, simulate, simulateTwice } from "./simulate.ts";

const { DATABASE_URL, MYSQL_URL, REDIS_URL } = process.env;

const openMemory = async () => ({ store: createMemoryStore() });

simulateTwice("memory", 50, openMemory);

simulate("memory", normalRuns, openMemory);

simulate("node:sqlite", 200, async () => {
  const database = new DatabaseSync(":memory:");
  const store = createSqliteStore(database);
  await store.migrate();
  return { store, close: async () => database.close() };
});

simulate("PGlite", 50, async () => {
  const database = await PGlite.create();
  const store = createPostgresStore(database);
  await store.migrate();
  return { store, close: () => database.close() };
});

describeWith(
  "PostgreSQL",
  Boolean(DATABASE_URL),
  remedyFor("DATABASE_URL"),
)("PostgreSQL", () => {
  simulate("PostgreSQL", 200, async () => {
    // One connection instead of a pool, because a pool sets timers, and only the schedule advances the clock.
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
  });
});

describeWith(
  "MySQL",
  Boolean(MYSQL_URL),
  remedyFor("MYSQL_URL"),
)("MySQL", () => {
  simulate("MySQL", 200, async () => {
    const { url, drop } = await createMysqlDatabase();
    const connection = await createConnection(url);
    const store = createMySqlStore(connection);
    await store.migrate();
    const close = async () => {
      await connection.end();
      await drop();
    };
    return { store, close };
  });
});

describeWith(
  "Redis",
  Boolean(REDIS_URL),
  remedyFor("REDIS_URL"),
)("Redis", () => {
  simulate("Redis", 200, async () => {
    const client = createClient({ url: REDIS_URL ?? "" });
    await client.connect();
    const store = createRedisStore(client, { prefix: `simulation-${randomUUID()}:` });
    return { store, close: () => client.close() };
  });
});
