import { PGlite } from "@electric-sql/pglite";
import { drizzle as drizzlePg } from "drizzle-orm/node-postgres";
import { drizzle as drizzleLite } from "drizzle-orm/pglite";
import { randomUUID } from "node:crypto";
import { readFileSync } from "node:fs";
import { Pool } from "pg";
import { afterAll, describe, test } from "vitest";
import { createDrizzleStore } from "../../examples/stores/drizzle/store.ts";
import { testMessageStore } from "../../src/testkit.ts";
import { describeWith, remedyFor } from "../services/include.ts";

const migration = readFileSync(new URL("../../examples/stores/drizzle/migration.sql", import.meta.url), "utf8");

describe("PGlite", () => {
  const lite = new PGlite();
  afterAll(() => lite.close());

  testMessageStore(
    "Drizzle over PGlite",
    {
      threads: false,
      async create() {
        await lite.exec(`DROP TABLE IF EXISTS chat_messages, chat_threads; ${migration}`);
        return createDrizzleStore(drizzleLite(lite));
      },
    },
    { test },
  );
});

const connectionString = process.env.DATABASE_URL ?? "";
const onPostgres = describeWith("Drizzle over PostgreSQL", connectionString !== "", remedyFor("DATABASE_URL"));

// PGlite has a single connection: that the locks hold between connections is seen here only.
onPostgres("PostgreSQL", () => {
  const schemas: string[] = [];
  const openStore = (schema: string) => {
    const pool = new Pool({ connectionString, max: 5, options: `-c search_path=${schema}` });
    return { ...createDrizzleStore(drizzlePg(pool)), schema, pool };
  };

  testMessageStore(
    "Drizzle over PostgreSQL",
    {
      threads: false,
      async create() {
        const store = openStore(`test_${randomUUID().replaceAll("-", "").slice(0, 30)}`);
        schemas.push(store.schema);
        await store.pool.query(`CREATE SCHEMA ${store.schema}; ${migration}`);
        return store;
      },
      peer: ({ schema }) => openStore(schema),
      async reopen({ schema, pool }) {
        await pool.end();
        return openStore(schema);
      },
      async destroy({ pool }) {
        await pool.end();
      },
    },
    { test },
  );

  afterAll(async () => {
    const admin = new Pool({ connectionString, max: 1 });
    for (const schema of schemas) await admin.query(`DROP SCHEMA ${schema} CASCADE`);
    await admin.end();
  }, 120_000);
});
