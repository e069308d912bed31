/** The SQLite store, compared with bare statements on the same connection. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { StoredMessage } from "../../../src/index.ts";
import { createSqliteStore, type SqliteDatabase } from "../../../src/sqlite.ts";
import { makeAnswer, makePrompt } from "./messages.ts";
import { type Bare, counting, owner, type Plan, type Subject } from "./subject.ts";

/** Opens a database file with one of the two drivers. */
export type OpenSqlite = (file: string) => SqliteDatabase & { close(): unknown };

/** Opens a store in its own file. The pragmas of the store apply to the bare statements, too. */
export async function openSqlite(open: OpenSqlite, synchronous: "full" | "normal"): Promise<Subject> {
  const folder = mkdtempSync(join(tmpdir(), "chat-handler-bench-"));
  const database = open(join(folder, "chat.sqlite"));
  const store = createSqliteStore(database, { synchronous });
  await store.migrate();
  const { client, calls } = counting(database);
  const { version } = database.prepare("SELECT sqlite_version() AS version").get() as { version: string };
  return {
    store,
    bare: bareSqlite(database),
    counted: { store: createSqliteStore(client, { synchronous }), calls },
    versions: [`SQLite ${version}`],
    async fillThreads(owner, count) {
      const fill = database.prepare(`
        WITH RECURSIVE numbers (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < ?)
        INSERT INTO chat_threads (owner, thread_id, title, created_at, updated_at, activity)
        SELECT ?, 'thread-' || n, 'Thread ' || n, 0, 0, n FROM numbers`);
      fill.run(count, owner);
    },
    plans: () => explain(database, synchronous),
    close() {
      database.close();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

function bareSqlite(database: SqliteDatabase): Bare {
  database.exec(`
    CREATE TABLE bare_threads (id TEXT PRIMARY KEY, owner TEXT NOT NULL, updated_at INTEGER NOT NULL, last_seq INTEGER NOT NULL) STRICT;
    CREATE INDEX bare_threads_by_activity ON bare_threads (owner, updated_at);
    CREATE TABLE bare_messages (
      thread TEXT NOT NULL REFERENCES bare_threads (id), seq INTEGER NOT NULL, id TEXT NOT NULL, body TEXT NOT NULL,
      prompt_id TEXT NOT NULL, complete INTEGER NOT NULL DEFAULT 1,
      PRIMARY KEY (thread, seq), UNIQUE (thread, id)
    ) STRICT;
    CREATE UNIQUE INDEX bare_answers ON bare_messages (thread, prompt_id) WHERE id <> prompt_id;`);
  const begin = database.prepare("BEGIN IMMEDIATE");
  const commit = database.prepare("COMMIT");
  const touch = database.prepare(`INSERT INTO bare_threads (id, owner, updated_at, last_seq) VALUES (?, ?, ?, 1)
    ON CONFLICT (id) DO UPDATE SET updated_at = excluded.updated_at, last_seq = last_seq + 1 RETURNING last_seq`);
  const insert = database.prepare(
    "INSERT INTO bare_messages (thread, seq, id, prompt_id, body) VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
  );
  const find = database.prepare("SELECT 1 FROM bare_messages WHERE thread = ? AND id = ?");
  const replace = database.prepare(`INSERT INTO bare_messages (thread, seq, id, prompt_id, body) VALUES (?, ?, ?, ?, ?)
    ON CONFLICT (thread, prompt_id) WHERE id <> prompt_id
    DO UPDATE SET seq = excluded.seq, id = excluded.id, body = excluded.body, complete = excluded.complete WHERE NOT complete`);
  const select = database.prepare("SELECT body FROM bare_messages WHERE thread = ? ORDER BY seq DESC LIMIT ?");
  return {
    append(thread, message) {
      const body = JSON.stringify(message);
      begin.run();
      const { last_seq } = touch.get(thread, owner, Date.now()) as { last_seq: number };
      insert.run(thread, last_seq, message.id, message.promptId, body);
      commit.run();
    },
    appendAnswer(thread, message) {
      const body = JSON.stringify(message);
      begin.run();
      if (find.get(thread, message.promptId)) {
        const { last_seq } = touch.get(thread, owner, Date.now()) as { last_seq: number };
        replace.run(thread, last_seq, message.id, message.promptId, body);
      }
      commit.run();
    },
    readLast(thread, count) {
      const rows = select.all(thread, count) as { body: string }[];
      return rows.reverse().map(({ body }): StoredMessage => JSON.parse(body));
    },
  };
}

/** The plans of the statements that the store prepares for each call. */
async function explain(database: SqliteDatabase, synchronous: "full" | "normal"): Promise<Plan[]> {
  let statements: string[] = [];
  const recording = {
    exec: (sql: string) => database.exec(sql),
    prepare(sql: string) {
      statements.push(sql);
      return database.prepare(sql);
    },
  };
  const thread = { owner, threadId: "explained" };
  const prompt = makePrompt();
  const planOf = (sql: string): string => {
    const values = Array.from(sql.matchAll(/\?/g), () => 1);
    const steps = database.prepare(`EXPLAIN QUERY PLAN ${sql}`).all(...values) as { detail: string }[];
    return [sql.replaceAll(/\s+/g, " "), ...steps.map(({ detail }) => `  ${detail}`)].join("\n");
  };
  const calls: [title: string, run: (store: ReturnType<typeof createSqliteStore>) => Promise<unknown>][] = [
    ["reading the last 50", (store) => store.listMessages(thread, { last: 50 })],
    ["a page of threads", (store) => store.listThreads(owner, { limit: 100 })],
    ["appending a prompt", (store) => store.appendMessages(thread, [prompt])],
    ["appending an answer", (store) => store.appendMessages(thread, [makeAnswer(prompt)], { replacesAnswerTo: prompt.id })],
  ];
  const plans: Plan[] = [];
  for (const [title, run] of calls) {
    statements = [];
    await run(createSqliteStore(recording, { synchronous }));
    plans.push({ title, text: statements.map(planOf).join("\n") });
  }
  return plans;
}
