/** Runs the same tests over every store, each on its real database. */
import { randomUUID } from "node:crypto";
import { DatabaseSync } from "node:sqlite";
import { PGlite } from "@electric-sql/pglite";
import { createPool } from "mysql2/promise";
import { Pool } from "pg";
import { createClient } from "redis";
import { afterAll, beforeAll } from "vitest";
import { createMemoryStore, type ThreadStore } from "../../src/index.ts";
import { createMySqlStore } from "../../src/mysql.ts";
import { createPostgresStore } from "../../src/postgres.ts";
import { createRedisStore } from "../../src/redis.ts";
import { createSqliteStore } from "../../src/sqlite.ts";
import { describeWith, remedyFor, type Variable } from "../services/include.ts";
import { prefixOwners } from "./prefix-owners.ts";
import { createMysqlDatabase } from "./mysql-database.ts";

interface Opened {
  store: ThreadStore;
  close(): Promise<unknown>;
}

interface Kind {
  name: string;
  /** In milliseconds. A call that takes longer hangs, even on a busy machine. */
  responseTime: number;
  /** How to provide the server, if it is missing. */
  remedy?: string;
  open(): Promise<Opened>;
}

const { DATABASE_URL = "", REDIS_URL = "" } = process.env;

const needs = (variable: Variable) => (process.env[variable] ? {} : { remedy: remedyFor(variable) });

const kinds: Kind[] = [
  { name: "memory", responseTime: 20, open: async () => ({ store: createMemoryStore(), close: async () => {} }) },
  {
    name: "node:sqlite",
    responseTime: 50,
    async open() {
      const database = new DatabaseSync(":memory:");
      const store = createSqliteStore(database);
      await store.migrate();
      return { store, close: async () => database.close() };
    },
  },
  {
    name: "PGlite",
    responseTime: 300,
    async open() {
      const database = await PGlite.create();
      const store = createPostgresStore(database);
      await store.migrate();
      return { store, close: () => database.close() };
    },
  },
  {
    name: "PostgreSQL",
    responseTime: 300,
    ...needs("DATABASE_URL"),
    async open() {
      const pool = new Pool({ connectionString: DATABASE_URL });
      const schema = `test_${randomUUID().slice(0, 8)}`;
      await pool.query(`CREATE SCHEMA "${schema}"`);
      const store = createPostgresStore(pool, { schema });
      await store.migrate();
      const close = async () => {
        await pool.query(`DROP SCHEMA "${schema}" CASCADE`);
        await pool.end();
      };
      return { store, close };
    },
  },
  {
    name: "MySQL",
    responseTime: 300,
    ...needs("MYSQL_URL"),
    async open() {
      const { url, drop } = await createMysqlDatabase();
      const pool = createPool(url);
      const store = createMySqlStore(pool);
      await store.migrate();
      const close = async () => {
        await pool.end();
        await drop();
      };
      return { store, close };
    },
  },
  {
    name: "Redis",
    responseTime: 300,
    ...needs("REDIS_URL"),
    async open() {
      const client = createClient({ url: REDIS_URL });
      await client.connect();
      const prefix = `test-${randomUUID()}:`;
      const close = async () => {
        for await (const keys of client.scanIterator({ MATCH: `${prefix}*`, COUNT: 1000 })) if (keys.length > 0) await client.unlink(keys);
        await client.close();
      };
      return { store: createRedisStore(client, { prefix }), close };
    },
  },
];

/** A store under test. */
export interface StoreUnderTest {
  name: string;
  /** In milliseconds. A call that takes longer hangs, even on a busy machine. */
  responseTime: number;
  /** Returns a store without data. Stores of one kind share one database. */
  create(): ThreadStore;
}

/** Registers the tests once for each store. If its server is missing, they are skipped, and the name says how to provide it. */
export function describeEveryStore(register: (store: StoreUnderTest) => void): void {
  for (const { name, responseTime, remedy, open } of kinds) {
    const title = remedy === undefined ? `over ${name}` : `over ${name} (${remedy})`;
    describeWith(
      name,
      remedy === undefined,
      remedy ?? "",
    )(title, () => {
      let opened: Opened;
      beforeAll(async () => {
        opened = await open();
        // PGlite takes long to start on a busy machine.
      }, 60_000);
      afterAll(() => opened.close());
      register({ name, responseTime, create: () => prefixOwners(opened.store, `${randomUUID()} `) });
    });
  }
}
