/** The PostgreSQL store, compared with bare statements through the same client. */
import { Client } from "pg";
import type { StoredMessage, ThreadKey } from "../../../src/index.ts";
import { createPostgresStore, type PostgresClient } from "../../../src/postgres.ts";
import { makeAnswer, makePrompt } from "./messages.ts";
import { type Bare, counting, owner, type Plan, type Subject } from "./subject.ts";

/** Opens a store in its own schema. Pass `url` to get the query plans of the server. */
export async function openPostgres(client: PostgresClient, schema: string, close: () => unknown, url?: string): Promise<Subject> {
  await client.query(`CREATE SCHEMA ${schema}`);
  const store = createPostgresStore(client, { schema });
  await store.migrate();
  const counted = counting(client);
  const { rows } = await client.query("SHOW server_version");
  const [{ server_version }] = rows as [{ server_version: string }];
  return {
    store,
    bare: await barePostgres(client, schema),
    counted: { store: createPostgresStore(counted.client, { schema }), calls: counted.calls },
    versions: [`PostgreSQL ${server_version.split(" ")[0]}`],
    async fillThreads(owner, count) {
      await client.query(
        `INSERT INTO ${schema}.chat_threads (owner, thread_id, title, created_at, updated_at, activity)
         SELECT $1, 'thread-' || n, 'Thread ' || n, 0, 0, n FROM generate_series(1, $2::integer) AS n`,
        [owner, String(count)],
      );
    },
    settle: () => client.query("VACUUM ANALYZE"),
    ...(url !== undefined && { plans: () => explain(url, schema) }),
    close,
  };
}

async function barePostgres(client: PostgresClient, schema: string): Promise<Bare> {
  await client.query(`CREATE TABLE ${schema}.bare_threads (
    id text PRIMARY KEY, owner text NOT NULL, updated_at bigint NOT NULL, last_seq bigint NOT NULL)`);
  await client.query(`CREATE INDEX ON ${schema}.bare_threads (owner, updated_at)`);
  await client.query(`CREATE TABLE ${schema}.bare_messages (
    thread text NOT NULL REFERENCES ${schema}.bare_threads (id), seq bigint NOT NULL, id text NOT NULL, body text NOT NULL,
    prompt_id text NOT NULL, complete boolean NOT NULL DEFAULT true,
    PRIMARY KEY (thread, seq), UNIQUE (thread, id))`);
  await client.query(`CREATE UNIQUE INDEX ON ${schema}.bare_messages (thread, prompt_id) WHERE id <> prompt_id`);
  // One statement is one transaction. The row that it updates serializes appends to the same thread.
  const append = `
    WITH touched AS (
      INSERT INTO ${schema}.bare_threads AS t (id, owner, updated_at, last_seq) VALUES ($1, $2, $3::bigint, 1)
      ON CONFLICT (id) DO UPDATE SET updated_at = excluded.updated_at, last_seq = t.last_seq + 1 RETURNING id, last_seq
    )
    INSERT INTO ${schema}.bare_messages (thread, seq, id, prompt_id, body) SELECT id, last_seq, $4, $5, $6 FROM touched
    ON CONFLICT DO NOTHING`;
  const appendAnswer = `
    WITH touched AS (
      UPDATE ${schema}.bare_threads SET updated_at = $2::bigint, last_seq = last_seq + 1
      WHERE id = $1 AND EXISTS (SELECT FROM ${schema}.bare_messages WHERE thread = $1 AND id = $3) RETURNING id, last_seq
    )
    INSERT INTO ${schema}.bare_messages AS m (thread, seq, id, prompt_id, body) SELECT id, last_seq, $4, $3, $5 FROM touched
    ON CONFLICT (thread, prompt_id) WHERE id <> prompt_id
    DO UPDATE SET seq = excluded.seq, id = excluded.id, body = excluded.body, complete = excluded.complete WHERE NOT m.complete`;
  const select = `SELECT body FROM ${schema}.bare_messages WHERE thread = $1 ORDER BY seq DESC LIMIT $2::bigint`;
  return {
    append: (thread, message) =>
      client.query(append, [thread, owner, String(Date.now()), message.id, message.promptId, JSON.stringify(message)]),
    appendAnswer: (thread, message) =>
      client.query(appendAnswer, [thread, String(Date.now()), message.promptId, message.id, JSON.stringify(message)]),
    async readLast(thread, count) {
      const { rows } = await client.query(select, [thread, String(count)]);
      return (rows as { body: string }[]).reverse().map(({ body }): StoredMessage => JSON.parse(body));
    },
  };
}

/** The plans that the server ran, including those within the store's functions, as `auto_explain` reports them. */
async function explain(url: string, schema: string): Promise<Plan[]> {
  const client = new Client(url);
  const notices: string[] = [];
  client.on("notice", ({ message }) => notices.push(message ?? ""));
  await client.connect();
  await client.query("LOAD 'auto_explain'");
  for (const [name, value] of [
    ["log_level", "notice"],
    ["log_nested_statements", "on"],
    ["log_analyze", "on"],
    ["log_timing", "off"],
    ["log_buffers", "on"],
  ]) {
    await client.query(`SET auto_explain.${name} = ${value}`);
  }
  const store = createPostgresStore(client, { schema });
  const [short, long] = ["short", "long"].map((threadId) => ({ owner, threadId })) as [ThreadKey, ThreadKey];
  let prompt = makePrompt();
  const ask = () => store.appendMessages(long, [(prompt = makePrompt())]);
  const answer = () => store.appendMessages(long, [makeAnswer(prompt)], { replacesAnswerTo: prompt.id });
  const calls: [title: string, run: () => Promise<unknown>, before?: () => Promise<unknown>][] = [
    ["reading the last 50 of a hundred messages", () => store.listMessages(short, { last: 50 })],
    ["reading the last 50 of many messages", () => store.listMessages(long, { last: 50 })],
    ["a page of 100 of a hundred threads", () => store.listThreads("few", { limit: 100 })],
    ["a page of 100 of many threads", () => store.listThreads("many", { limit: 100 })],
    ["appending a prompt to many messages", ask],
    ["appending its answer", answer, ask],
  ];
  const plans: Plan[] = [];
  for (const [title, run, before] of calls) {
    // By the seventh call the server has decided whether to use a generic plan.
    for (let time = 1; time <= 7; time++) {
      await before?.();
      if (time === 7) await client.query("SET auto_explain.log_min_duration = 0");
      notices.length = 0;
      await run();
    }
    plans.push({ title, text: notices.map(readable).join("\n") });
    await client.query("SET auto_explain.log_min_duration = -1");
  }
  await client.end();
  return plans;
}

/** Removes times, estimates and white space, which differ between runs. */
const readable = (notice: string): string =>
  notice
    .replace(/^duration: .*\n/, "")
    .replaceAll(/\s*\(cost=[^)]*\)/g, "")
    .replace(
      /^Query Text: ([^]*?)\n(?=[A-Z][a-z A-Z]+(?: on | using |\n|  \(|\s\())/,
      (_, text: string) => `${text.replaceAll(/\s+/g, " ").trim()}\n`,
    );
