import { randomBytes } from "node:crypto";
import { createConnection, createPool, type Pool } from "mysql2/promise";
import { afterAll, beforeAll, expect, onTestFinished, test } from "vitest";
import { createMySqlStore, type MySqlStore } from "../../../src/mysql.ts";
import { startMysql } from "../../services/mysql.ts";
import type { Service } from "../../services/service.ts";
import { startAppender } from "./children.ts";
import { cutEverywhere } from "./cut.ts";
import { batchOf, expectLoad, expectWholeBatches, startLoad, thread } from "./load.ts";
import { openers } from "./open.ts";

let server: Service;
let pool: Pool;
let store: MySqlStore;

beforeAll(async () => {
  server = await startMysql();
  pool = createPool({ uri: server.url, connectionLimit: 4 });
  store = createMySqlStore(pool);
  await store.migrate();
}, 60_000);

afterAll(async () => {
  await pool.end();
  await server.stop();
});

test("kill -9 of a process during thousands of appends", { timeout: 120_000 }, async () => {
  const acknowledged: string[] = [];
  for (let round = 0; round < 5; round++) {
    const appender = startAppender("mysql", server.url, `client${round}`);
    await appender.until(400 + 37 * round);
    await appender.kill();
    acknowledged.push(...appender.acknowledged);
    await expectLoad(store, acknowledged);
  }
  expect(acknowledged.length).toBeGreaterThan(2000);
});

test("kill -9 of the server under load, and a restart", { timeout: 120_000 }, async () => {
  await store.deleteThread(thread);
  const { store: loaded, close } = openers.mysql(server.url);
  const load = startLoad(loaded, "server", 16);
  const last = await lastActivity();
  for (let round = 0; round < 3; round++) {
    const enough = load.acknowledged.length + 300;
    while (load.acknowledged.length < enough) await sleep(5);
    await server.kill();
    await sleep(100);
    await server.start();
  }
  const enough = load.acknowledged.length + 100;
  while (load.acknowledged.length < enough) await sleep(5);
  await load.stop();
  expect(load.rejected).toBeGreaterThan(0);
  await pool.query("SELECT 1").catch(() => {}); // an idle connection was lost
  await expectLoad(store, load.acknowledged);
  expect(await lastActivity()).toBeGreaterThan(last + load.acknowledged.length);
  await close();
});

/** The number of the latest activity. It must continue after a crash, or threads are listed in the wrong order. */
async function lastActivity(): Promise<number> {
  const connection = await createConnection(server.url);
  const [rows] = await connection.query("SELECT MAX(activity) AS last FROM chat_threads");
  await connection.end();
  return Number((rows as { last: unknown }[])[0]!.last);
}

test(
  "an append whose connection is cut at any byte is stored whole or not at all, and a retry stores it once",
  { timeout: 120_000 },
  async () => {
    await store.deleteThread(thread);
    const rejected = await cutEverywhere(server, store, openers.mysql);
    expect(rejected.stored).toBeGreaterThan(0);
    expect(rejected.lost).toBeGreaterThan(0);
  },
);

test("a full disk rejects the whole batch, and stored data stays usable", { timeout: 120_000 }, async () => {
  const limits: { largestFile?: number } = { largestFile: 24 * 1024 * 1024 };
  const full = await startMysql(["--innodb-log-file-size=8M"], limits);
  onTestFinished(full.stop);
  const pool = createPool({ uri: full.url });
  onTestFinished(() => pool.end());
  const store = createMySqlStore(pool);
  await store.migrate();
  // Random text, which cannot be compressed. The first message of a batch is always small.
  const batch = (name: string, bytes: number) =>
    batchOf(name).map((stored, index) => {
      const content = index === 0 ? "" : randomBytes(bytes).toString("base64");
      return { ...stored, message: { role: "user" as const, content } };
    });
  const acknowledged: string[] = [];
  async function fill(bytes: number): Promise<never> {
    for (;;) {
      const name = `batch${acknowledged.length}`;
      await store.appendMessages(thread, batch(name, bytes));
      acknowledged.push(name);
    }
  }
  await expect(fill(5_000)).rejects.toThrow(/is full/);
  expect(acknowledged.length).toBeGreaterThan(100);
  expectWholeBatches(await store.listMessages(thread), acknowledged);

  // MariaDB 10.11 stops if a text of many pages does not fit. Then the test restarts it.
  await expect(fill(300_000)).rejects.toThrow(/is full|Connection lost/);
  await full.kill();
  delete limits.largestFile;
  await full.start();
  await pool.query("SELECT 1").catch(() => {}); // an idle connection was lost
  const stored = await store.listMessages(thread);
  expectWholeBatches(stored, acknowledged);
  expect(stored).toHaveLength(3 * acknowledged.length);
  await store.appendMessages(thread, batch("after", 300_000));
  expectWholeBatches(await store.listMessages(thread), [...acknowledged, "after"]);
});

test("a deadlock is retried", async () => {
  // In this order by activity and by hash, so that either index leads to the first one first.
  const [first, second] = ["1", "2"].map((threadId) => ({ owner: "deadlock", threadId }));
  await store.createThread(first!, "");
  await store.createThread(second!, "");
  const other = await createConnection(server.url);
  const lock = (threadId: string) => other.query(`UPDATE chat_threads SET title = 'other' WHERE thread_id = '${threadId}'`);
  await other.query("SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED");
  await other.query("BEGIN");
  // The server aborts the transaction that has changed less.
  await other.query(`INSERT INTO chat_versions VALUES ${Array.from({ length: 50 }, (_, index) => `(${index + 100})`).join(", ")}`);
  await lock("2");
  const { watched, codes } = watch(pool);
  const deleting = watched.deleteOwner("deadlock"); // locks the first thread, waits for the second
  await sleep(200);
  await lock("1");
  await other.query("ROLLBACK");
  await deleting;
  expect(codes).toEqual([1213]);
  expect(await store.listThreads("deadlock", { limit: 5 })).toEqual({ threads: [] });
  await other.end();
});

test("a deadlock is not retried forever", { timeout: 30_000 }, async () => {
  const deadlock = Object.assign(new Error("Deadlock found when trying to get lock"), { errno: 1213 });
  let tries = 0;
  const hopeless = createMySqlStore({
    query: (sql) => pool.query(sql),
    execute(sql, values) {
      if (!sql.startsWith("CALL")) return pool.execute(sql, values);
      tries++;
      return Promise.reject(deadlock);
    },
  });
  await expect(hopeless.listMessages(thread)).rejects.toBe(deadlock);
  expect(tries).toBeGreaterThan(10);
});

/** A store, and the error codes of its statements. */
function watch(pool: Pool): { watched: MySqlStore; codes: unknown[] } {
  const codes: unknown[] = [];
  const watched = createMySqlStore({
    query: (sql) => pool.query(sql),
    execute: (sql, values) =>
      pool.execute(sql, values).catch((error: unknown) => {
        codes.push((error as { errno?: unknown }).errno);
        throw error;
      }),
  });
  return { watched, codes };
}

function sleep(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}
