/** The option `migrate: true`: the schema is applied before the first call, and not before. */
import { DatabaseSync } from "node:sqlite";
import { PGlite } from "@electric-sql/pglite";
import { afterAll, describe, expect, onTestFinished, test } from "vitest";
import { createPostgresStore, type PostgresStore } from "../../src/postgres.ts";
import { createSqliteStore, type SqliteStore } from "../../src/sqlite.ts";
import { here, idsOf, prompts } from "./samples.ts";

interface Subject {
  store: SqliteStore | PostgresStore;
  /** Statements that create a table, so far. */
  migrations(): number;
  /** Makes the next migration fail. */
  failOnce(): void;
}

/** Starting PGlite takes a second, so there is one for all tests, and a schema for each subject. */
const lite = new PGlite();
afterAll(() => lite.close());
let schemas = 0;

const subjects: Record<string, () => Promise<Subject>> = {
  async SQLite() {
    const database = new DatabaseSync(":memory:");
    onTestFinished(() => database.close());
    const faults = countMigrations();
    const counted = {
      exec: (sql: string) => faults.run(sql, () => database.exec(sql)),
      prepare: (sql: string) => database.prepare(sql),
    };
    return { store: createSqliteStore(counted, { migrate: true }), ...faults };
  },
  async PGlite() {
    const schema = `test_${++schemas}`;
    await lite.query(`CREATE SCHEMA ${schema}`);
    const faults = countMigrations();
    const counted = { query: async (sql: string, values?: unknown[]) => faults.run(sql, () => lite.query(sql, values)) };
    return { store: createPostgresStore(counted, { migrate: true, schema }), ...faults };
  },
};

function countMigrations() {
  let migrations = 0;
  let isToFail = false;
  return {
    migrations: () => migrations,
    failOnce: () => void (isToFail = true),
    run<T>(sql: string, work: () => T): T {
      if (/CREATE TABLE/.test(sql)) {
        migrations++;
        if (isToFail) {
          isToFail = false;
          throw new Error("The database cannot be reached.");
        }
      }
      return work();
    },
  };
}

describe.each(Object.keys(subjects))("%s", (name) => {
  test("creating the store does nothing; ten calls at once migrate once", async () => {
    const { store, migrations } = await subjects[name]!();
    expect(migrations()).toBe(0);
    const batches = Array.from({ length: 10 }, (_, n) => store.appendMessages(here, prompts(`p${n}`)));
    await Promise.all(batches);
    expect(idsOf(await store.listMessages(here)).length).toBe(10);
    expect(migrations()).toBe(1);
  });

  test("a migration that fails rejects the calls that waited, and runs again before the next", async () => {
    const { store, migrations, failOnce } = await subjects[name]!();
    failOnce();
    const calls = await Promise.allSettled([store.listMessages(here), store.getThread(here)]);
    expect(calls.map(({ status }) => status)).toEqual(["rejected", "rejected"]);
    expect(migrations()).toBe(1);
    expect(await store.listMessages(here)).toEqual([]);
    expect(migrations()).toBe(2);
  });

  const firstCalls: Record<string, (store: SqliteStore | PostgresStore) => Promise<unknown>> = {
    listMessages: (store) => store.listMessages(here, { last: 1 }),
    appendMessages: (store) => store.appendMessages(here, prompts("a"), { title: "A" }),
    updateMessage: (store) => store.updateMessage(here, "a", { status: "failed" }),
    deleteMessages: (store) => store.deleteMessages(here, ["a"]),
    listThreads: (store) => store.listThreads("ada", { limit: 1 }),
    getThread: (store) => store.getThread(here),
    createThread: (store) => store.createThread(here, "A"),
    renameThread: (store) => store.renameThread(here, "A"),
    deleteThread: (store) => store.deleteThread(here),
    deleteOwner: (store) => store.deleteOwner("ada"),
    migrate: (store) => store.migrate(),
  };

  test(`any call may be the first`, async () => {
    const { store } = await subjects[name]!();
    expect(Object.keys(firstCalls).sort()).toEqual(Object.keys(store).sort());
    for (const call of Object.values(firstCalls)) await call((await subjects[name]!()).store);
  });
});
