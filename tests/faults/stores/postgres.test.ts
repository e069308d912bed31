import { randomBytes } from "node:crypto";
import { Client, Pool } from "pg";
import { afterAll, beforeAll, expect, onTestFinished, test } from "vitest";
import { createPostgresStore, type PostgresStore } from "../../../src/postgres.ts";
import { startPostgres } from "../../services/postgres.ts";
import type { Service } from "../../services/service.ts";
import { startAppender } from "./children.ts";
import { cutEverywhere } from "./cut.ts";
import { batchOf, expectLoad, expectWholeBatches, startLoad, thread } from "./load.ts";
import { openers } from "./open.ts";

let server: Service;
let pool: Pool;
let store: PostgresStore;

beforeAll(async () => {
  server = await startPostgres(["deadlock_timeout=100ms"]);
  pool = new Pool({ connectionString: server.url, max: 4 });
  pool.on("error", () => {});
  store = createPostgresStore(pool);
  await store.migrate();
}, 60_000);

afterAll(async () => {
  await pool.end();
  await server.stop();
});

test("kill -9 of a process during thousands of appends", { timeout: 120_000 }, async () => {
  const acknowledged: string[] = [];
  for (let round = 0; round < 5; round++) {
    const appender = startAppender("postgres", server.url, `client${round}`);
    await appender.until(400 + 37 * round);
    await appender.kill();
    acknowledged.push(...appender.acknowledged);
    await expectLoad(store, acknowledged);
  }
  expect(acknowledged.length).toBeGreaterThan(2000);
});

test("kill -9 of the server under load, and a restart", { timeout: 120_000 }, async () => {
  await store.deleteThread(thread);
  const { store: loaded, close } = openers.postgres(server.url);
  const load = startLoad(loaded, "server", 16);
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
  await expectLoad(store, load.acknowledged);
  await close();
});

test(
  "an append whose connection is cut at any byte is stored whole or not at all, and a retry stores it once",
  { timeout: 120_000 },
  async () => {
    await store.deleteThread(thread);
    const rejected = await cutEverywhere(server, store, openers.postgres);
    expect(rejected.stored).toBeGreaterThan(0);
    expect(rejected.lost).toBeGreaterThan(0);
  },
);

test("a full disk rejects the whole batch, and stored data stays usable", { timeout: 60_000 }, async () => {
  const full = await startPostgres([], { largestFile: 20 * 1024 * 1024 });
  onTestFinished(full.stop);
  const pool = new Pool({ connectionString: full.url });
  onTestFinished(() => pool.end());
  const store = createPostgresStore(pool);
  await store.migrate();
  // Random text, because compressible text would take long to fill a disk. The first message of a batch is always small.
  const large = (name: string) =>
    batchOf(name).map((stored, index) => {
      const content = index === 0 ? "" : randomBytes(300_000).toString("base64");
      return { ...stored, message: { role: "user" as const, content } };
    });
  const acknowledged: string[] = [];
  async function fill(): Promise<never> {
    for (;;) {
      const name = `batch${acknowledged.length}`;
      await store.appendMessages(thread, large(name));
      acknowledged.push(name);
    }
  }
  await expect(fill()).rejects.toThrow(/could not extend file/);
  expect(acknowledged.length).toBeGreaterThan(3);
  expectWholeBatches(await store.listMessages(thread), acknowledged);
  await expect(store.appendMessages(thread, large("again"))).rejects.toThrow(/could not extend file/);
  await store.appendMessages(thread, batchOf("small"));
  const stored = await store.listMessages(thread);
  expectWholeBatches(stored, [...acknowledged, "small"]);
  expect(stored).toHaveLength(3 * (acknowledged.length + 1));
});

test("a deadlock is retried", async () => {
  const [first, second] = ["first", "second"].map((threadId) => ({ owner: "deadlock", threadId }));
  await store.createThread(first!, "");
  await store.createThread(second!, "");
  const other = new Client(server.url);
  await other.connect();
  await other.query("BEGIN");
  await other.query("UPDATE chat_threads SET title = 'other' WHERE thread_id = 'second'");
  const { watched, codes } = watch(pool);
  const deleting = watched.deleteOwner("deadlock"); // locks the first thread, waits for the second
  await sleep(50);
  await other.query("UPDATE chat_threads SET title = 'other' WHERE thread_id = 'first'"); // the server aborts the store's statement
  await other.query("COMMIT");
  await deleting;
  expect(codes).toEqual(["40P01"]);
  expect(await store.listThreads("deadlock", { limit: 5 })).toEqual({ threads: [] });
  await other.end();
});

test("a serialization failure is retried, but not forever", { timeout: 30_000 }, async () => {
  const serializable = new Pool({ connectionString: server.url, max: 20, options: "-c default_transaction_isolation=serializable" });
  const { watched, codes } = watch(serializable);
  const threadKey = { owner: "", threadId: "serializable" };
  const batches = Array.from({ length: 20 }, (_, index) => String(index));
  await Promise.all(
    batches.map((id) =>
      watched.appendMessages(threadKey, [{ id, promptId: id, message: { role: "user", content: "" }, status: "complete", createdAt: 1 }]),
    ),
  );
  expect((await watched.listMessages(threadKey)).map(({ id }) => id).sort()).toEqual(batches.sort());
  expect(new Set(codes)).toEqual(new Set(["40001"]));
  await serializable.end();

  const conflict = Object.assign(new Error("could not serialize access"), { code: "40001" });
  let tries = 0;
  const hopeless = createPostgresStore({
    query() {
      tries++;
      return Promise.reject(conflict);
    },
  });
  await expect(hopeless.listMessages(threadKey)).rejects.toBe(conflict);
  expect(tries).toBeGreaterThan(10);
});

/** A store, and the error codes of its statements. */
function watch(pool: Pool): { watched: PostgresStore; codes: unknown[] } {
  const codes: unknown[] = [];
  const watched = createPostgresStore({
    query: (text, values) =>
      pool.query(text, values).catch((error: unknown) => {
        codes.push((error as { code?: unknown }).code);
        throw error;
      }),
  });
  return { watched, codes };
}

function sleep(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}
