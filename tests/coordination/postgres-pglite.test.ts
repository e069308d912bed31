import { PGlite } from "@electric-sql/pglite";
import { afterAll } from "vitest";
import { testPostgresCoordinator } from "./postgres-cases.ts";

/** Starting PGlite takes a second, so there is one for all tests, and a schema for each. */
const lite = new PGlite();
afterAll(() => lite.close());

let schemas = 0;

testPostgresCoordinator("PGlite", {
  open: () => ({ query: (text, values) => lite.query(text, values), close: async () => {} }),
  async newSchema() {
    const schema = `test_${++schemas}`;
    await lite.query(`CREATE SCHEMA ${schema}`);
    return schema;
  },
  waits: true,
  usesProcessClock: true,
});
