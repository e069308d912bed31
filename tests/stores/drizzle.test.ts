import { PGlite } from "@electric-sql/pglite";
import { drizzle } from "drizzle-orm/pglite";
import { readFileSync } from "node:fs";
import { afterAll, test } from "vitest";
import { createDrizzleStore } from "../../examples/stores/drizzle/store.ts";
import { testMessageStore } from "../../src/testkit.ts";

const migration = readFileSync(new URL("../../examples/stores/drizzle/migration.sql", import.meta.url), "utf8");
const lite = new PGlite();
afterAll(() => lite.close());

testMessageStore(
  "Drizzle over PGlite",
  {
    threads: false,
    async create() {
      await lite.exec(`DROP TABLE IF EXISTS chat_messages, chat_threads; ${migration}`);
      return createDrizzleStore(drizzle(lite));
    },
  },
  { test },
);
