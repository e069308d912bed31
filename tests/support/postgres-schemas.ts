/** PostgreSQL schemas of the tests' own. */
import { randomUUID } from "node:crypto";
import { Pool } from "pg";
import { afterAll } from "vitest";

export interface PostgresSchemas {
  /** For statements of the test itself. */
  admin: Pool;
  /** Creates a schema. Everything of a test is in one of its own, so that runs do not meet. */
  newSchema(): Promise<string>;
}

/** Creates schemas for the tests of a `describe`, and drops them after it. */
export function usePostgresSchemas(connectionString: string): PostgresSchemas {
  const admin = new Pool({ connectionString, max: 5 });
  const schemas: string[] = [];
  afterAll(async () => {
    for (const schema of schemas) await admin.query(`DROP SCHEMA "${schema}" CASCADE`);
    await admin.end();
  }, 120_000);
  return {
    admin,
    async newSchema() {
      const schema = `test_${randomUUID().replaceAll("-", "").slice(0, 30)}`;
      await admin.query(`CREATE SCHEMA "${schema}"`);
      schemas.push(schema);
      return schema;
    },
  };
}
