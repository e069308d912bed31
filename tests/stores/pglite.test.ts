import { PGlite } from "@electric-sql/pglite";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, test } from "vitest";
import { createPostgresStore, type PostgresStore } from "../../src/postgres.ts";
import { testMessageStore } from "../../src/testkit.ts";
import { testPostgresStore } from "./postgres-cases.ts";

const folder = mkdtempSync(join(tmpdir(), "chat-handler-pglite-"));
let lite = new PGlite(folder, { relaxedDurability: true });
afterAll(async () => {
  await lite.close();
  rmSync(folder, { recursive: true, force: true });
});

let schemas = 0;

/** Starting PGlite takes a second, so there is one for all tests, and a schema for each. */
async function newSchema(): Promise<string> {
  const schema = `test_${++schemas}`;
  await lite.query(`CREATE SCHEMA ${schema}`);
  return schema;
}

const openStore = (schema: string): PostgresStore & { schema: string } => ({ ...createPostgresStore(lite, { schema }), schema });

// One connection is all that PGlite has: there can be no second instance.
testMessageStore(
  "PGlite",
  {
    threads: true,
    async create() {
      const store = openStore(await newSchema());
      await store.migrate();
      return store;
    },
    async reopen({ schema }) {
      await lite.close();
      lite = new PGlite(folder, { relaxedDurability: true });
      return openStore(schema);
    },
  },
  { test },
);

testPostgresStore("PGlite", () => lite, newSchema);
