/** The kit twice at the same moment over the same tables: what one run does must neither show in the other nor stop it. */
import { fork, type ChildProcess } from "node:child_process";
import { randomUUID } from "node:crypto";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { PGlite } from "@electric-sql/pglite";
import { Redis } from "ioredis";
import { Client as PostgresClient } from "pg";
import { expect, onTestFinished, test } from "vitest";
import { createMemoryStore, type ThreadStore } from "../../../src/index.ts";
import { createPostgresStore } from "../../../src/postgres.ts";
import { describeWith, remedyFor } from "../../services/include.ts";
import { createMysqlDatabase } from "../../support/mysql-database.ts";
import { idsOf } from "../samples.ts";
import { type KitRun, meeting, runKit } from "./kit-run.ts";
import { Better, type Client, open } from "./open.ts";

const names = ["first", "second"] as const;
const timeout = 180_000;
const program = fileURLToPath(new URL("./kit-process.ts", import.meta.url));

/** Two processes, each with a client of its own, that begin when both are ready. */
async function expectPassInTwoProcesses(clients: readonly [Client, Client], place: string): Promise<void> {
  const children = clients.map((client, index) => fork(program, [client, place, names[index]!], { execArgv: [] }));
  onTestFinished(() => children.forEach((child) => void child.kill()));
  await Promise.all(children.map(nextMessage));
  for (const child of children) child.send("begin");
  const runs = await Promise.all(children.map(nextMessage));
  const { store, close } = await open(clients[0], place);
  await expectBoth(runs as KitRun[], store);
  await close?.();
}

async function nextMessage(child: ChildProcess): Promise<unknown> {
  const died = once(child, "exit").then(([code, signal]) => Promise.reject(new Error(`The process ended by itself: ${code ?? signal}`)));
  const [message] = await Promise.race([once(child, "message"), died]);
  died.catch(() => {}); // it may end now
  return message;
}

/** Two runs in this process, whose calls take turns: for stores that no other process can reach. */
async function expectPassInOneProcess(store: ThreadStore): Promise<void> {
  await expectBoth(await Promise.all(names.map((name) => runKit(name, async () => ({ store }), false))), store);
}

async function expectBoth(runs: KitRun[], store: ThreadStore): Promise<void> {
  for (const { failed, passed, skipped } of runs) {
    expect(failed).toEqual([]);
    expect(passed.length).toBeGreaterThan(60);
    expect(skipped.filter((what) => !/: `(peer|reopen)` is not given$/.test(what))).toEqual([]);
  }
  // Both used the same store, and for most of the time of the shorter run at the same time.
  expect(idsOf(await store.listMessages(meeting)).toSorted()).toEqual(names);
  const together = Math.min(...runs.map(({ ended }) => ended)) - Math.max(...runs.map(({ began }) => began));
  expect(together).toBeGreaterThan(0.5 * Math.min(...runs.map(({ began, ended }) => ended - began)));
}

test("memory: two runs in one process", { timeout }, () =>
  expectPassInOneProcess(createMemoryStore({ maxThreads: 1_000_000, maxCharacters: 1_000_000_000 })),
);

test("PGlite: two runs on its one connection", { timeout }, async () => {
  const database = await PGlite.create();
  onTestFinished(() => database.close());
  const store = createPostgresStore(database);
  await store.migrate();
  await expectPassInOneProcess(store);
});

function newFile(): string {
  const folder = mkdtempSync(join(tmpdir(), "chat-handler-parallel-"));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  return join(folder, "chat.sqlite");
}

test("node:sqlite: two processes on one file", { timeout }, () => expectPassInTwoProcesses(["node:sqlite", "node:sqlite"], newFile()));

describeWith(
  "better-sqlite3",
  Better !== undefined,
  "npm install --prefix tests/services",
)("better-sqlite3", () => {
  test("two processes on one file, the other with node:sqlite", { timeout }, () =>
    expectPassInTwoProcesses(["better-sqlite3", "node:sqlite"], newFile()),
  );
});

const { DATABASE_URL = "", MYSQL_URL = "", REDIS_URL = "" } = process.env;

describeWith(
  "PostgreSQL",
  DATABASE_URL !== "",
  remedyFor("DATABASE_URL"),
)("PostgreSQL", () => {
  test("two processes on the same tables", { timeout }, async () => {
    const admin = new PostgresClient({ connectionString: DATABASE_URL });
    await admin.connect();
    onTestFinished(() => admin.end());
    const schema = `parallel_${randomUUID().slice(0, 8)}`;
    await admin.query(`CREATE SCHEMA ${schema}`);
    onTestFinished(async () => void (await admin.query(`DROP SCHEMA ${schema} CASCADE`)));
    await expectPassInTwoProcesses(["pg", "pg"], schema);
  });
});

describeWith(
  "MySQL",
  MYSQL_URL !== "",
  remedyFor("MYSQL_URL"),
)("MySQL", () => {
  test("two processes on the same tables", { timeout }, async () => {
    const { url, drop } = await createMysqlDatabase();
    onTestFinished(drop);
    await expectPassInTwoProcesses(["mysql2", "mysql2"], url);
  });
});

describeWith(
  "Redis",
  REDIS_URL !== "",
  remedyFor("REDIS_URL"),
)("Redis", () => {
  test("two processes on the same keys, one with node-redis, the other with ioredis", { timeout }, async () => {
    const admin = new Redis(REDIS_URL);
    const prefix = `parallel:${randomUUID()}:`;
    onTestFinished(async () => {
      for await (const keys of admin.scanStream({ match: `${prefix}*`, count: 1000 })) if (keys.length > 0) await admin.unlink(...keys);
      await admin.quit();
    });
    await expectPassInTwoProcesses(["node-redis", "ioredis"], prefix);
  });
});
