/** The store in MariaDB, beside bare statements through the same client. */
import type { Pool } from "mysql2/promise";
import type { StoredMessage, ThreadKey } from "../../../src/index.ts";
import { createMySqlStore } from "../../../src/mysql.ts";
import { makeAnswer, makePrompt } from "./messages.ts";
import { type Bare, counting, owner, type Plan, type Subject } from "./subject.ts";

/** A store in a database of its own. `flush` is the server's `innodb_flush_log_at_trx_commit`. */
export async function openMysql(pool: Pool, flush: 0 | 1): Promise<Subject> {
  await pool.query(`SET GLOBAL innodb_flush_log_at_trx_commit = ${flush}`);
  const prefix = `flush${flush}_`;
  const store = createMySqlStore(pool, { prefix });
  await store.migrate();
  const counted = counting(pool);
  const countedStore = createMySqlStore(counted.client, { prefix });
  await countedStore.getThread({ owner, threadId: "" }); // the first call looks at the connection, too
  const [rows] = await pool.query("SELECT VERSION() AS version");
  const [{ version }] = rows as [{ version: string }];
  const tables = `${prefix}threads, ${prefix}messages`;
  return {
    store,
    bare: await bareMysql(pool, prefix),
    counted: { store: countedStore, calls: counted.calls },
    versions: [`MariaDB ${version.split("-")[0]}`],
    async fillThreads(owner, count) {
      await pool.execute(
        `INSERT INTO ${prefix}threads (owner_hash, thread_hash, owner, thread_id, title, created_at, updated_at, activity)
         SELECT UNHEX(SHA2(?, 256)), UNHEX(SHA2(CONCAT('thread-', seq), 256)), ?, CONCAT('thread-', seq), CONCAT('Thread ', seq), 0, 0, seq
         FROM seq_1_to_${count}`,
        [owner, owner],
      );
    },
    settle: () => pool.query(`ANALYZE TABLE ${tables}`),
    plans: () => countReads(pool, prefix),
    close: () => pool.end(),
  };
}

/** A procedure for each append, as a person would write it for messages alone: one round trip, like the store's. */
async function bareMysql(pool: Pool, prefix: string): Promise<Bare> {
  const [threads, messages] = [`${prefix}bare_threads`, `${prefix}bare_messages`];
  const id = "VARCHAR(100) CHARACTER SET ascii COLLATE ascii_bin";
  const message = `p_thread ${id}, p_now BIGINT, p_id ${id}, p_prompt ${id}, p_body LONGTEXT CHARACTER SET utf8mb4`;
  for (const sql of [
    `CREATE TABLE ${threads} (id ${id} PRIMARY KEY, owner ${id} NOT NULL, updated_at BIGINT NOT NULL, last_seq BIGINT NOT NULL,
      KEY (owner, updated_at))`,
    // Answers have their prompt in \`answers\`, so that there is one at most.
    `CREATE TABLE ${messages} (thread ${id} NOT NULL, seq BIGINT NOT NULL, id ${id} NOT NULL, answers ${id}, complete BOOLEAN NOT NULL DEFAULT 1,
      body LONGTEXT CHARACTER SET utf8mb4 NOT NULL,
      PRIMARY KEY (thread, seq), UNIQUE KEY (thread, id), UNIQUE KEY (thread, answers), FOREIGN KEY (thread) REFERENCES ${threads} (id))`,
    `CREATE PROCEDURE ${prefix}bare_append(${message}, p_owner ${id}) BEGIN
      START TRANSACTION;
      INSERT INTO ${threads} VALUES (p_thread, p_owner, p_now, 1) ON DUPLICATE KEY UPDATE updated_at = p_now, last_seq = last_seq + 1;
      INSERT IGNORE INTO ${messages} (thread, seq, id, body) SELECT id, last_seq, p_id, p_body FROM ${threads} WHERE id = p_thread;
      COMMIT;
    END`,
    `CREATE PROCEDURE ${prefix}bare_answer(${message}) BEGIN
      START TRANSACTION;
      UPDATE ${threads} SET updated_at = p_now, last_seq = last_seq + 1
      WHERE id = p_thread AND EXISTS (SELECT 1 FROM ${messages} WHERE thread = p_thread AND id = p_prompt);
      IF ROW_COUNT() > 0 THEN
        INSERT INTO ${messages} (thread, seq, id, answers, body)
        SELECT id, last_seq, p_id, p_prompt, p_body FROM ${threads} WHERE id = p_thread
        ON DUPLICATE KEY UPDATE seq = IF(complete, seq, VALUES(seq)), body = IF(complete, body, VALUES(body)), id = IF(complete, ${messages}.id, VALUES(id));
      END IF;
      COMMIT;
    END`,
  ]) {
    await pool.query(sql);
  }
  const values = (thread: string, { id, promptId }: StoredMessage, body: string) => [thread, String(Date.now()), id, promptId, body];
  return {
    append: (thread, message) =>
      pool.execute(`CALL ${prefix}bare_append(?, ?, ?, ?, ?, ?)`, [...values(thread, message, JSON.stringify(message)), owner]),
    appendAnswer: (thread, message) =>
      pool.execute(`CALL ${prefix}bare_answer(?, ?, ?, ?, ?)`, values(thread, message, JSON.stringify(message))),
    async readLast(thread, count) {
      const sql = `SELECT body FROM ${messages} WHERE thread = ? ORDER BY seq DESC LIMIT ?`;
      const [rows] = await pool.execute(sql, [thread, String(count)]);
      return (rows as { body: string }[]).reverse().map(({ body }): StoredMessage => JSON.parse(body));
    },
  };
}

/** How many rows each call reads in the server. Its plans cannot be asked for: the statements are within procedures. */
async function countReads(pool: Pool, prefix: string): Promise<Plan[]> {
  const connection = await pool.getConnection();
  const store = createMySqlStore(connection, { prefix });
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
    await before?.();
    await run(); // connects, and reads the procedure
    await before?.();
    await connection.query("FLUSH STATUS");
    await run();
    const [rows] = await connection.query("SHOW SESSION STATUS LIKE 'Handler_read%'");
    const counts = (rows as { Variable_name: string; Value: string }[]).filter(({ Value }) => Value !== "0");
    plans.push({ title, text: counts.map(({ Variable_name, Value }) => `${Variable_name} ${Value}`).join("\n") });
  }
  connection.release();
  return plans;
}
