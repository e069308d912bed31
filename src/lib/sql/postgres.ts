/** What the store and the coordinator in PostgreSQL share: the app's client, names, retries and migrations. */
import { throwUsageError } from "../core/usage-error.ts";
import { checkIdentifier } from "./identifier.ts";
import type { Migration } from "./migration.ts";
import { retry } from "./retry.ts";

/**
 * The method of a client that the store and the coordinator call. `Pool` and `Client` of pg, PGlite and Neon's `Pool` have it. For
 * postgres.js, pass `{ query: async (text, values) => ({ rows: await sql.unsafe(text, values) }) }`.
 */
export interface PostgresClient {
  /** Runs one statement with the values of `$1`, `$2` …, as a transaction of its own. */
  query(text: string, values?: (string | null)[]): Promise<PostgresResult>;
}

/** The result of a statement. */
export interface PostgresResult {
  /** The rows, each an object with its columns. */
  rows: unknown[];
}

/** Where the objects in the database are. */
export interface PostgresSchemaOptions {
  /** The PostgreSQL schema of all objects. It must exist. At most 40 letters, digits and underscores. @default "public" */
  schema?: string | undefined;
  /** The beginning of the names of tables, indexes and functions. At most 40 letters, digits and underscores. @default "chat_" */
  prefix?: string | undefined;
}

/** Runs a statement, and returns its rows. */
export type PostgresQuery = <Row>(text: string, values: (string | null)[]) => Promise<Row[]>;

/** The most milliseconds for which a statement is retried that lost a conflict with another one. */
const conflictTimeout = 5000;

/** Throws unless the client has the method that is called. */
export function checkPostgresClient(factory: string, client: PostgresClient): void {
  if (typeof client?.query === "function") return;
  throwUsageError(
    `${factory} needs a client with query(text, values), for example new Pool() of pg. ` +
      "For postgres.js: { query: async (text, values) => ({ rows: await sql.unsafe(text, values) }) }",
  );
}

/** Returns a function that qualifies and quotes a name. A qualified name means the same on every connection of a pool. */
export function qualifyNames({ schema = "public", prefix = "chat_" }: PostgresSchemaOptions): (name: string) => string {
  checkIdentifier("schema", schema);
  checkIdentifier("prefix", prefix);
  return (name) => `"${schema}"."${prefix}${name}"`;
}

/** Returns a function that runs statements, and retries deadlocks and serialization failures. `kind` names the caller in errors. */
export function createPostgresQuery(client: PostgresClient, kind: "store" | "coordinator"): PostgresQuery {
  return async <Row>(text: string, values: (string | null)[]): Promise<Row[]> => {
    try {
      const { rows } = await retry(() => client.query(text, values), isConflict, conflictTimeout);
      return rows as Row[];
    } catch (error) {
      if (!isMissingSchema(error)) throw error;
      throw new Error(
        `The tables of the chat ${kind} are missing or old. Pass \`migrate: true\` to the ${kind}, or call \`await ${kind}.migrate()\` first.`,
        { cause: error },
      );
    }
  };
}

/** Applies the missing steps of a schema. `versions` is the qualified name of the table that has a row for each step. */
export async function migratePostgres(client: PostgresClient, versions: string, steps: readonly Migration[]): Promise<void> {
  await retry(() => client.query(migrationStatement(versions, steps)), isConflict, conflictTimeout);
}

/** Returns one statement that applies the missing steps: one transaction, in one process at a time. */
function migrationStatement(versions: string, steps: readonly Migration[]): string {
  return `DO $migration$
DECLARE
  v_version integer := 0;
BEGIN
  PERFORM pg_advisory_xact_lock(hashtext('${versions}'));
  IF to_regclass('${versions}') IS NOT NULL THEN
    SELECT max(version) INTO v_version FROM ${versions};
  END IF;
  ${steps.map(({ version, sql }) => `IF v_version < ${version} THEN${sql}END IF;`).join("\n  ")}
END
$migration$`;
}

/** Returns whether the statement only failed because it met another one: a serialization failure or a deadlock. */
function isConflict(error: unknown): boolean {
  const { code } = error as { code?: unknown };
  return code === "40001" || code === "40P01";
}

/** Returns whether a table, function, column, sequence or schema is missing. */
function isMissingSchema(error: unknown): boolean {
  const { code } = error as { code?: unknown };
  return code === "42P01" || code === "42883" || code === "42703" || code === "3F000";
}
