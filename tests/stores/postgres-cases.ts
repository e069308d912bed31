/** What the store does on any PostgreSQL, however it is reached. */
import { expect, test } from "vitest";
import { createPostgresStore, postgresSchema, type PostgresClient, type PostgresStore } from "../../src/postgres.ts";
import { expectBoundedReads } from "./bounded-reads.ts";
import { expectOneOrder } from "./equal-activities.ts";
import { here, idsOf, prompt, prompts } from "./samples.ts";

/** Registers the tests; `client` is called when they run, and so is `newSchema`, which makes an empty schema. */
export function testPostgresStore(name: string, client: () => PostgresClient, newSchema: () => Promise<string>): void {
  async function newStore(): Promise<{ store: PostgresStore; schema: string }> {
    const schema = await newSchema();
    const store = createPostgresStore(client(), { schema });
    await store.migrate();
    return { store, schema };
  }

  test(`${name}: a missing schema is an error that names migrate()`, async () => {
    const store = createPostgresStore(client(), { schema: await newSchema() });
    await expect(store.listMessages(here)).rejects.toThrow(/call `await store.migrate\(\)`/);
    await expect(store.appendMessages(here, prompts("a"))).rejects.toThrow(/call `await store.migrate\(\)`/);
    await expect(store.getThread(here)).rejects.toThrow(/call `await store.migrate\(\)`/);
  });

  test(`${name}: migrating again, at once and from several instances, changes nothing`, async () => {
    const schema = await newSchema();
    const stores = [1, 2, 3].map(() => createPostgresStore(client(), { schema }));
    await Promise.all(stores.flatMap((store) => [store.migrate(), store.migrate()]));
    const [first, second] = stores;
    await first!.appendMessages(here, prompts("a"));
    await second!.migrate();
    expect(idsOf(await second!.listMessages(here))).toEqual(["a"]);
  });

  test(`${name}: what an old schema holds survives the migration`, async () => {
    const schema = await newSchema();
    const { query } = { query: (text: string, values?: string[]) => client().query(text, values) };
    // The first version as an app may have applied it: statement by statement, in its own migrations.
    await query(`DO $own$ BEGIN ${postgresSchema({ schema })[0]!.sql} END $own$`);
    await query(`INSERT INTO "${schema}".chat_threads (owner, thread_id, title, created_at, updated_at, activity, last_seq) VALUES
      ('ada', 'old', 'Old', 1, 2, 2, 1),
      ('ada', 'older', 'Older', 1, 1, 1, 0),
      ('eve', 'old', 'Other', 1, 1, 1, 0)`);
    await query(
      `INSERT INTO "${schema}".chat_messages (thread, seq, id, prompt_id, complete, body) SELECT min(key), 1, 'a', 'a', true, $1 FROM "${schema}".chat_threads`,
      [JSON.stringify(prompt("a"))],
    );

    const store = createPostgresStore(client(), { schema });
    await expect(store.listThreads("ada", { limit: 5 })).rejects.toThrow(/missing or old/);
    await store.migrate();
    const { rows } = await query(`SELECT version FROM "${schema}".chat_versions ORDER BY version`);
    expect(rows).toEqual(postgresSchema().map(({ version }) => ({ version })));
    const thread = { owner: "ada", threadId: "old" };
    expect(await store.listMessages(thread)).toEqual([prompt("a")]);
    expect(await store.getThread(thread)).toEqual({ threadId: "old", title: "Old", createdAt: 1, updatedAt: 2 });
    expect(await store.appendMessages(thread, prompts("a", "b"))).toEqual(["b"]);
    const { threads } = await store.listThreads("ada", { limit: 5 });
    expect(threads.map(({ threadId }) => threadId)).toEqual(["old", "older"]);
  });

  test(`${name}: prefixes are kept apart in one schema`, async () => {
    const schema = await newSchema();
    const [first, second] = ["one_", "Two_"].map((prefix) => createPostgresStore(client(), { schema, prefix }));
    await Promise.all([first!.migrate(), second!.migrate()]);
    await first!.appendMessages(here, prompts("a"));
    expect(await second!.listMessages(here)).toEqual([]);
  });

  test(`${name}: NUL and half a surrogate pair are refused in names before any query, and kept in messages`, async () => {
    const { store, schema } = await newStore();
    const untouched = createPostgresStore({ query: () => Promise.reject(new Error("The database was asked")) }, { schema });
    for (const text of ["\0", "a\0", "\ud800", "a\udc00b"]) {
      const bad = prompts(text);
      for (const thread of [
        { owner: text, threadId: "a" },
        { owner: "", threadId: text },
      ]) {
        await expect(untouched.listMessages(thread)).rejects.toThrow(/The (owner|thread id) has NUL or half a surrogate pair/);
        await expect(untouched.appendMessages(thread, prompts("a"))).rejects.toThrow(
          /The (owner|thread id) has NUL or half a surrogate pair/,
        );
      }
      await expect(untouched.appendMessages(here, [prompt("a"), ...bad])).rejects.toThrow(/The message id has NUL/);
      await expect(untouched.appendMessages(here, prompts("a"), { replacesAnswerTo: text })).rejects.toThrow(
        /The answered prompt id has NUL/,
      );
      await expect(untouched.appendMessages(here, [{ ...prompt("a"), promptId: text }])).rejects.toThrow(/The prompt id has NUL/);
      await expect(untouched.appendMessages(here, prompts("a"), { title: text })).rejects.toThrow(/The title has NUL/);
      await expect(untouched.renameThread(here, text)).rejects.toThrow(/The title has NUL/);
      await expect(untouched.deleteMessages(here, ["a", text])).rejects.toThrow(/The message id has NUL/);
      await expect(untouched.listMessages({ owner: "", threadId: text })).rejects.toMatchObject({ code: "invalid_request", status: 400 });
      await expect(untouched.deleteOwner(text)).rejects.toThrow(/The owner has NUL/);
      await store.appendMessages(here, [prompt(`content ${JSON.stringify(text)}`, text)]);
    }
    const contents = (await store.listMessages(here)).map(({ message }) => message.content);
    expect(contents).toEqual(["\0", "a\0", "\ud800", "a\udc00b"]);
  });

  test(`${name}: changes of one message made at once are all made`, async () => {
    const { store } = await newStore();
    await store.appendMessages(here, prompts("a"));
    const changes = [
      { status: "failed" as const },
      { createdAt: 7 },
      { finishReason: "stop" },
      { message: { role: "user" as const, content: "new" } },
    ];
    expect(await Promise.all(changes.map((change) => store.updateMessage(here, "a", change)))).toEqual([true, true, true, true]);
    expect(await store.listMessages(here)).toEqual([Object.assign(prompt("a"), ...changes)]);
  });

  test(`${name}: threads that became active at the same moment keep one order, over pages of any size`, async () => {
    const { store, schema } = await newStore();
    await expectOneOrder(store, (activity) => client().query(`UPDATE "${schema}".chat_threads SET activity = ${activity}`));
  });

  test(`${name}: a read ends where its characters do, and reads nothing of larger messages before`, async () => {
    const { store, schema } = await newStore();
    await expectBoundedReads(store);
    // 50 messages of 320 kB that cannot be compressed: more than 2,000 pages.
    const text = "(SELECT string_agg(md5(place || ' ' || part), '') FROM generate_series(1, 10000) part)";
    await client().query(`INSERT INTO "${schema}".chat_messages (thread, seq, id, prompt_id, complete, body)
      SELECT key, 1000 + place, place, place, true, ${text} FROM "${schema}".chat_threads, generate_series(1, 50) place`);
    const explain = `EXPLAIN (ANALYZE, BUFFERS) SELECT * FROM "${schema}".chat_list_messages('', 'thread', 50, 600000)`;
    let plan = "";
    for (let round = 0; round < 8; round++) plan = JSON.stringify((await client().query(explain)).rows);
    expect(plan).toMatch(/actual .* rows=2\D/);
    expect(Number(/Buffers: shared hit=(\d+)/.exec(plan)?.[1])).toBeLessThan(100);
  });

  // The plan must not depend on what the planner knows of the tables.
  test.for(["nothing", "short threads alone", "everything"])(
    `${name}: the end of a long thread, a page of many threads, an answer and a message are found without reading the rest, where %s was analyzed`,
    async (analyzed) => {
      const { schema } = await newStore();
      const many = 20_000;
      const analyze = () => query(`ANALYZE "${schema}".chat_threads, "${schema}".chat_messages`);
      const insertMessages = (which: string, last: number) =>
        query(`INSERT INTO "${schema}".chat_messages (thread, seq, id, prompt_id, complete, body)
          SELECT key, place, place, place / 2 * 2, true, repeat('x', 200) FROM "${schema}".chat_threads, generate_series(2, ${last}) place WHERE ${which}`);
      await query(`INSERT INTO "${schema}".chat_threads (owner, thread_id, title, created_at, updated_at, activity)
        SELECT 'many', place, '', 1, 1, place FROM generate_series(1, ${many}) place`);
      await insertMessages("thread_id <> '1'", 3);
      if (analyzed === "short threads alone") await analyze();
      await insertMessages("thread_id = '1'", many);
      await query(`UPDATE "${schema}".chat_threads SET last_seq = ${many} WHERE thread_id = '1'`);
      if (analyzed === "everything") await analyze();

      async function query(text: string): Promise<string> {
        const { rows } = await client().query(text);
        return rows.map((row) => Object.values(row as object).join("")).join("\n");
      }
      const answer = `'[["a", "${many}", false, "{}"], ["b", "${many}", false, "{}"]]'`;
      for (const [rows, call] of [
        [50, `chat_list_messages('many', '1', 50, NULL)`],
        [50, `chat_list_messages('many', '1', 50, 1000000)`],
        [5, `chat_list_messages('many', '1', 50, 1000)`],
        [50, `chat_list_threads('many', ${many}, 0, 50)`],
        [1, `chat_append_messages('many', '1', '', 1, '${many}', ${answer})`],
        [1, `chat_next_activity('many')`],
        [1, `chat_delete_messages('many', '1', '["a", "2"]')`],
      ] as const) {
        const explain = `EXPLAIN (ANALYZE, BUFFERS) SELECT * FROM "${schema}".${call}`;
        let plan = "";
        // A first call also reads the catalogue; from the sixth on, the plans are made without a look at the values.
        for (let round = 0; round < 8; round++) plan = await query(explain);
        const [, pages] = /Buffers: shared hit=(\d+)/.exec(plan) ?? [];
        expect(plan).toMatch(new RegExp(`actual .* rows=${rows}\\D`));
        expect(Number(pages)).toBeLessThan(100); // all of it would be more than 200
      }
    },
  );
}

test("misuse of createPostgresStore fails at construction and names the remedy", () => {
  const client: PostgresClient = { query: async () => ({ rows: [] }) };
  const wrong: [unknown, object, RegExp][] = [
    [undefined, {}, /^chat-handler: .*new Pool\(\) of pg/],
    ["postgres://localhost", {}, /new Pool\(\) of pg/],
    [() => {}, {}, /postgres\.js: \{ query: async/],
    [client, { prefix: "a-b" }, /prefix must be a name/],
    [client, { schema: "" }, /schema must be a name/],
    [client, { table: "x" }, /^chat-handler: createPostgresStore has no option "table": its options are schema, prefix, migrate$/],
  ];
  for (const [client, options, message] of wrong) {
    expect(() => createPostgresStore(client as PostgresClient, options)).toThrow(message);
  }
});

test("a statement that met another one, in a deadlock or a serialization failure, is tried again", async () => {
  let queries = 0;
  const failOnce = (code: string): PostgresClient => ({
    async query() {
      if (++queries === 1) throw Object.assign(new Error("the query failed"), { code });
      return { rows: [] };
    },
  });
  for (const code of ["40001", "40P01"]) {
    queries = 0;
    expect(await createPostgresStore(failOnce(code)).listMessages(here)).toEqual([]);
    expect(queries).toBe(2);
  }
  queries = 0;
  await expect(createPostgresStore(failOnce("57014")).listMessages(here)).rejects.toThrow("the query failed");
  expect(queries).toBe(1);
});
