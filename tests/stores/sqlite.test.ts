import { mkdtempSync, rmSync } from "node:fs";
import { DatabaseSync } from "node:sqlite";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { createSqliteStore, sqliteSchema, type SqliteDatabase, type SqliteStore } from "../../src/sqlite.ts";
import { testMessageStore } from "../../src/testkit.ts";
import { describeWith, installed } from "../services/include.ts";
import { expectBoundedReads } from "./bounded-reads.ts";
import { answer, here, idsOf, prompt, prompts } from "./samples.ts";

const folder = mkdtempSync(join(tmpdir(), "chat-handler-sqlite-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

type Open = (file: string) => SqliteDatabase & { close(): unknown };
const openNode: Open = (file) => new DatabaseSync(file);

let files = 0;
const newFile = (): string => join(folder, `${++files}.sqlite`);

function runKit(name: string, open: Open): void {
  const openStore = (file: string): SqliteStore & { file: string; close(): void } => {
    const database = open(file);
    return { ...createSqliteStore(database), file, close: () => database.close() };
  };
  testMessageStore(
    name,
    {
      threads: true,
      async create() {
        const store = openStore(newFile());
        await store.migrate();
        return store;
      },
      peer: ({ file }) => openStore(file),
      reopen({ file, close }) {
        close();
        return openStore(file);
      },
      destroy: ({ close }) => close(),
    },
    { test },
  );
}

runKit("node:sqlite", openNode);

const Better = await installed<new (file: string) => ReturnType<Open>>("./node_modules/better-sqlite3/lib/index.js");
const withBetter = describeWith("better-sqlite3", Better !== undefined, "npm install --prefix tests/services");
withBetter("better-sqlite3", () => {
  runKit("better-sqlite3", (file) => new Better!(file));
});

async function newStore(file = newFile()): Promise<SqliteStore & { database: DatabaseSync; file: string }> {
  const database = new DatabaseSync(file);
  const store = createSqliteStore(database);
  await store.migrate();
  return { ...store, database, file };
}

test("misuse fails at construction and names the remedy", () => {
  const database = new DatabaseSync(":memory:");
  const wrong: [unknown, object, RegExp][] = [
    [undefined, {}, /^chat-handler: .*new DatabaseSync/],
    ["chat.sqlite", {}, /new DatabaseSync/],
    [{ exec() {} }, {}, /prepare/],
    [database, { prefix: 'a"b' }, /prefix must be a name/],
    [database, { synchronous: "off" }, /^chat-handler: synchronous must be "full" or "normal"/],
    [database, { busyTimeout: -1 }, /^chat-handler: busyTimeout/],
    [
      database,
      { table: "x" },
      /^chat-handler: createSqliteStore has no option "table": its options are prefix, synchronous, busyTimeout, migrate$/,
    ],
    [database, { migrate: "yes" }, /^chat-handler: migrate must be true or false/],
  ];
  for (const [database, options, message] of wrong) {
    expect(() => createSqliteStore(database as SqliteDatabase, options)).toThrow(message);
  }
});

test("a missing schema is an error that names migrate()", async () => {
  const store = createSqliteStore(new DatabaseSync(":memory:"));
  await expect(store.listMessages(here)).rejects.toThrow(/call `await store.migrate\(\)`/);
  await expect(store.appendMessages(here, prompts("a"))).rejects.toThrow(/call `await store.migrate\(\)`/);
});

test("what the driver throws comes as a rejection, and leaves the store usable", async () => {
  const store = await newStore();
  store.database.exec(`CREATE TRIGGER refuse BEFORE INSERT ON chat_messages WHEN new.id = 'c' BEGIN SELECT raise(ABORT, 'refused'); END`);
  await expect(store.appendMessages(here, prompts("a", "b", "c"))).rejects.toThrow(/refused/);
  expect(await store.getThread(here)).toBeUndefined();
  expect(await store.appendMessages(here, prompts("d"))).toEqual(["d"]);
  store.database.close();
  await expect(store.listMessages(here)).rejects.toThrow(/not open/);
});

test("migrating again, at once and from two connections, changes nothing", async () => {
  const file = newFile();
  const stores = [1, 2, 3].map(() => createSqliteStore(new DatabaseSync(file)));
  await Promise.all(stores.flatMap((store) => [store.migrate(), store.migrate()]));
  const [first, second] = stores;
  await first!.appendMessages(here, prompts("a"));
  await second!.migrate();
  expect(idsOf(await second!.listMessages(here))).toEqual(["a"]);
});

test("what an old schema holds survives the migration", async () => {
  const file = newFile();
  const database = new DatabaseSync(file);
  database.exec(sqliteSchema()[0]!.sql);
  database.exec(`INSERT INTO chat_threads (owner, thread_id, title, created_at, updated_at, activity)
    VALUES ('ada', 'old', 'Old', 1, 2, 1), ('ada', 'older', 'Older', 1, 1, 2), ('eve', 'old', 'Other', 1, 1, 1)`);
  const body = JSON.stringify(prompt("a"));
  database.prepare("INSERT INTO chat_messages (thread, id, prompt_id, complete, body) VALUES (1, 'a', 'a', 1, ?)").run(body);

  const store = createSqliteStore(database);
  await store.migrate();
  expect(database.prepare("SELECT version FROM chat_versions ORDER BY version").all()).toEqual(
    sqliteSchema().map(({ version }) => ({ version })),
  );
  const thread = { owner: "ada", threadId: "old" };
  expect(await store.listMessages(thread)).toEqual([prompt("a")]);
  expect(await store.getThread(thread)).toEqual({ threadId: "old", title: "Old", createdAt: 1, updatedAt: 2 });
  await store.appendMessages(thread, prompts("b"));
  const { threads } = await store.listThreads("ada", { limit: 5 });
  expect(threads.map(({ threadId }) => threadId)).toEqual(["old", "older"]);
});

test("prefixes are kept apart in one file", async () => {
  const database = new DatabaseSync(newFile());
  const [first, second] = ["one_", "two_"].map((prefix) => createSqliteStore(database, { prefix }));
  await first!.migrate();
  await expect(second!.listMessages(here)).rejects.toThrow(/migrate/);
  await second!.migrate();
  await first!.appendMessages(here, prompts("a"));
  expect(await second!.listMessages(here)).toEqual([]);
  expect(sqliteSchema({ prefix: "one_" })[0]!.sql).toContain('"one_threads"');
});

test("NUL is kept in ids, half a surrogate pair is refused", async () => {
  const store = await newStore();
  await store.appendMessages({ owner: "a\0b", threadId: "\0" }, prompts("\0"));
  await store.appendMessages({ owner: "a\0c", threadId: "\0" }, prompts("\0", "\0\0"));
  expect(idsOf(await store.listMessages({ owner: "a\0b", threadId: "\0" }))).toEqual(["\0"]);
  await expect(store.appendMessages({ owner: "", threadId: "\ud800" }, prompts("a"))).rejects.toThrow(
    /thread id has half a surrogate pair/,
  );
  await expect(store.appendMessages(here, prompts("\ud800"))).rejects.toThrow(/message id/);
  await expect(store.appendMessages(here, prompts("a"), { title: "\udc00" })).rejects.toThrow(/title/);
  expect(await store.getThread(here)).toBeUndefined();
});

test("another writer is waited for without blocking the process", async () => {
  const store = await newStore();
  const other = new DatabaseSync(store.file);
  other.exec("BEGIN IMMEDIATE");
  let ticks = 0;
  const ticking = setInterval(() => ticks++, 5);
  const appending = store.appendMessages(here, prompts("a"));
  const reading = await store.listMessages(here); // a reader does not wait
  await new Promise((resolve) => setTimeout(resolve, 200));
  other.exec("COMMIT");
  expect(await appending).toEqual(["a"]);
  clearInterval(ticking);
  expect(reading).toEqual([]);
  expect(ticks).toBeGreaterThan(10);
});

test("a writer that does not end is given up on with the database's own error", async () => {
  const { file } = await newStore();
  const store = createSqliteStore(new DatabaseSync(file), { busyTimeout: 50 });
  const other = new DatabaseSync(file);
  other.exec("BEGIN IMMEDIATE");
  await expect(store.appendMessages(here, prompts("a"))).rejects.toThrow(/database is locked/);
  other.exec("ROLLBACK");
  expect(await store.appendMessages(here, prompts("a"))).toEqual(["a"]);
});

test("the file is in WAL mode, and synchronous unless asked otherwise", async () => {
  const { database } = await newStore();
  const pragma = (name: string): unknown => Object.values(database.prepare(`PRAGMA ${name}`).get() ?? {})[0];
  expect(pragma("journal_mode")).toBe("wal");
  expect(pragma("synchronous")).toBe(2);
  createSqliteStore(database, { synchronous: "normal" });
  expect(pragma("synchronous")).toBe(1);
});

test("a read ends where its characters do", async () => {
  await expectBoundedReads(await newStore());
});

test("an index serves the end of a thread, a page of threads and a broken answer, without a sort", async () => {
  const store = await newStore();
  const plans: string[] = [];
  const prepare = store.database.prepare.bind(store.database);
  const spied = createSqliteStore({
    exec: (sql) => store.database.exec(sql),
    prepare(sql) {
      if (sql.startsWith("SELECT"))
        plans.push(
          prepare(`EXPLAIN QUERY PLAN ${sql}`)
            .all()
            .map(({ detail }) => detail)
            .join("\n"),
        );
      return prepare(sql);
    },
  });
  await spied.listMessages(here, { last: 50 });
  await spied.listThreads("", { limit: 20 });
  await store.appendMessages(here, [prompt("a"), answer("b", "a", "failed")]);
  await spied.appendMessages(here, [answer("b", "a")], { replacesAnswerTo: "a" });
  expect(plans[0]).toContain("chat_messages_in_order (thread=?)");
  expect(plans[1]).toContain("chat_threads_by_activity (owner=? AND activity<?)");
  expect(plans.join("\n")).toContain("chat_answers_by_prompt (thread=? AND prompt_id=?)");
  for (const plan of plans) expect(plan).not.toMatch(/SCAN|TEMP B-TREE/);
});
