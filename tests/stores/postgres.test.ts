import { Client, Pool, type PoolConfig } from "pg";
import { expect, test } from "vitest";
import { createPostgresStore, type PostgresClient, type PostgresStore } from "../../src/postgres.ts";
import { messageStoreCases, testMessageStore, type ThreadStoreSubject } from "../../src/testkit.ts";
import { describeWith, installed, remedyFor } from "../services/include.ts";
import { usePostgresSchemas } from "../support/postgres-schemas.ts";
import { testPostgresStore } from "./postgres-cases.ts";
import { answer, here, idsOf, prompts } from "./samples.ts";

type Sql = { unsafe(text: string, values?: (string | null)[]): Promise<unknown[]>; end(): Promise<void> };
const postgres = await installed<(url: string, options: object) => Sql>("./node_modules/postgres/src/index.js");

const connectionString = process.env.DATABASE_URL ?? "";
const remedy = remedyFor("DATABASE_URL");

const onPostgres = describeWith("PostgreSQL", connectionString !== "", remedy);

onPostgres("PostgreSQL", () => {
  const { admin, newSchema } = usePostgresSchemas(connectionString);

  type Connection = PostgresClient & { close(): Promise<void> };

  function openPool(config: PoolConfig = {}): Connection {
    const pool = new Pool({ connectionString, max: 5, ...config });
    return { query: pool.query.bind(pool), close: () => pool.end() };
  }

  type Opened = PostgresStore & { schema: string; close(): Promise<void> };

  function subject(open: () => Connection): ThreadStoreSubject<Opened> {
    const openStore = (schema: string): Opened => {
      const client = open();
      return { ...createPostgresStore(client, { schema }), schema, close: () => client.close() };
    };
    return {
      threads: true,
      async create() {
        const store = openStore(await newSchema());
        await store.migrate();
        return store;
      },
      peer: ({ schema }) => openStore(schema),
      async reopen({ schema, close }) {
        await close();
        return openStore(schema);
      },
      destroy: ({ close }) => close(),
    };
  }

  testMessageStore("pg Pool", subject(openPool), { test });

  // Stricter levels matter to the cases in which calls meet.
  const isolation = (level: string): PoolConfig => ({ options: `-c default_transaction_isolation=${level.replace(" ", "\\ ")}` });
  for (const level of ["repeatable read", "serializable"]) {
    const races = messageStoreCases(subject(() => openPool(isolation(level)))).filter(({ name }) => name.includes("between"));
    for (const { name, run } of races) test(`pg Pool, ${level}: ${name}`, () => expect(run()).resolves.toBeUndefined());
  }

  const withPostgresJs = describeWith("postgres.js", postgres !== undefined, "npm install --prefix tests/services");
  withPostgresJs("postgres.js", () => {
    const open = (): Connection => {
      const sql = postgres!(connectionString, { max: 5, onnotice() {} });
      return { query: async (text, values) => ({ rows: await sql.unsafe(text, values) }), close: () => sql.end() };
    };
    testMessageStore("postgres.js", subject(open), { test });
  });

  testPostgresStore("pg Pool", () => admin, newSchema);

  async function newStore(): Promise<PostgresStore & { schema: string }> {
    const schema = await newSchema();
    const store = createPostgresStore(admin, { schema });
    await store.migrate();
    return { ...store, schema };
  }

  /** A transaction that the test holds open while the store waits for it. */
  async function begin(): Promise<Client> {
    const client = new Client({ connectionString });
    await client.connect();
    await client.query("BEGIN");
    return client;
  }

  /** Waits until so many backends wait for a lock, so that what the test does next comes after. */
  async function untilWaiting(schema: string, count = 1): Promise<void> {
    for (;;) {
      const { rows } = await admin.query("SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND position($1 IN query) > 0", [
        schema,
      ]);
      if (rows.length >= count) return;
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  }

  test("an append that waited for a delete sees what it deleted", async () => {
    const store = await newStore();
    await store.appendMessages(here, prompts("prompt", "answer"));
    const other = await begin();
    await createPostgresStore(other, { schema: store.schema }).deleteMessages(here, ["prompt", "answer"]);
    const appending = Promise.all([
      store.appendMessages(here, [answer("late")], { replacesAnswerTo: "prompt" }),
      store.appendMessages(here, prompts("answer")),
    ]);
    await untilWaiting(store.schema, 2);
    await other.query("COMMIT");
    expect(await appending).toEqual([[], ["answer"]]);
    await other.end();
  });

  test("an answer that waited for an update sees what it made complete", async () => {
    const store = await newStore();
    await store.appendMessages(here, [...prompts("prompt"), answer("step", "prompt", "failed"), answer("end", "prompt", "failed")]);
    const other = await begin();
    await createPostgresStore(other, { schema: store.schema }).updateMessage(here, "end", { status: "complete" });
    const appending = store.appendMessages(here, [answer("new")], { replacesAnswerTo: "prompt" });
    await untilWaiting(store.schema);
    await other.query("COMMIT");
    expect(await appending).toEqual([]);
    expect(idsOf(await store.listMessages(here))).toEqual(["prompt", "step", "end"]);
    await other.end();
  });

  test("an update that waited for an answer changes what took the place of the old one", async () => {
    const store = await newStore();
    await store.appendMessages(here, [...prompts("prompt"), answer("end", "prompt", "failed")]);
    const other = await begin();
    const inOther = createPostgresStore(other, { schema: store.schema });
    await inOther.appendMessages(here, [answer("step", "prompt", "stopped"), answer("end", "prompt", "stopped")], {
      replacesAnswerTo: "prompt",
    });
    const updating = store.updateMessage(here, "end", { finishReason: "length" });
    await untilWaiting(store.schema);
    await other.query("COMMIT");
    expect(await updating).toBe(true);
    const end = { ...answer("end", "prompt", "stopped"), finishReason: "length" };
    expect(await store.listMessages(here)).toEqual([...prompts("prompt"), answer("step", "prompt", "stopped"), end]);
    await other.end();
  });

  test("an append that waited for the deletion of its thread does not bring it back, unless it may", async () => {
    const store = await newStore();
    await store.appendMessages(here, prompts("prompt"));
    const other = await begin();
    await createPostgresStore(other, { schema: store.schema }).deleteThread(here);
    const appending = store.appendMessages(here, [answer("late")], { replacesAnswerTo: "prompt" });
    await untilWaiting(store.schema);
    await other.query("COMMIT");
    expect(await appending).toEqual([]);
    expect(await store.getThread(here)).toBeUndefined();

    await store.appendMessages(here, prompts("prompt"));
    await other.query("BEGIN");
    await createPostgresStore(other, { schema: store.schema }).deleteThread(here);
    const again = store.appendMessages(here, prompts("new"), { title: "New" });
    await untilWaiting(store.schema);
    await other.query("COMMIT");
    expect(await again).toEqual(["new"]);
    expect(idsOf(await store.listMessages(here))).toEqual(["new"]);
    expect(await store.getThread(here)).toMatchObject({ title: "New" });
    await other.end();
  });

  test("an id that another transaction is storing is stored once", async () => {
    const store = await newStore();
    const other = await begin();
    await createPostgresStore(other, { schema: store.schema }).appendMessages(here, prompts("a", "b"), { title: "First" });
    const appending = store.appendMessages(here, prompts("b", "c"), { title: "Second" });
    await untilWaiting(store.schema);
    await other.query("COMMIT");
    expect(await appending).toEqual(["c"]);
    expect(idsOf(await store.listMessages(here))).toEqual(["a", "b", "c"]);
    expect(await store.getThread(here)).toMatchObject({ title: "First" });
    await other.end();
  });

  test("the isolation level of the kit's connections is the one asked for", async () => {
    const connection = openPool(isolation("serializable"));
    expect(await connection.query("SHOW transaction_isolation")).toMatchObject({ rows: [{ transaction_isolation: "serializable" }] });
    await connection.close();
  });

  test("nothing is asked of a connection that another statement was on", async () => {
    const connection = openPool({ maxUses: 1 }); // a new connection for each statement
    const store = createPostgresStore(connection, { schema: await newSchema() });
    await Promise.all([store.migrate(), store.migrate()]);
    const ids = Array.from({ length: 20 }, (_, index) => String(index));
    await Promise.all(ids.map((id) => store.appendMessages(here, prompts(id, `${id}+`), { title: id })));
    const stored = idsOf(await store.listMessages(here));
    expect(stored.filter((id) => !id.endsWith("+")).flatMap((id) => [id, `${id}+`])).toEqual(stored);
    expect(stored).toHaveLength(40);
    expect(await store.updateMessage(here, "3", { status: "failed" })).toBe(true);
    await store.deleteMessages(here, ids);
    expect(idsOf(await store.listMessages(here, { last: 3 }))).toEqual(stored.filter((id) => id.endsWith("+")).slice(-3));
    await store.deleteOwner("");
    expect(await store.listThreads("", { limit: 1 })).toEqual({ threads: [] });
    await connection.close();
  });
});
