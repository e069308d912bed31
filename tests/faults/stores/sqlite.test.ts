import { mkdtempSync, rmSync } from "node:fs";
import { DatabaseSync } from "node:sqlite";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { createSqliteStore } from "../../../src/sqlite.ts";
import { startAppender } from "./children.ts";
import { batchOf, expectLoad, expectWholeBatches, thread } from "./load.ts";
import { openers } from "./open.ts";

const folder = mkdtempSync(join(tmpdir(), "chat-handler-faults-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

async function newFile(name: string): Promise<string> {
  const file = join(folder, name);
  const database = new DatabaseSync(file);
  await createSqliteStore(database).migrate();
  database.close();
  return file;
}

test("kill -9 during thousands of appends loses no confirmed batch and leaves no partial one", { timeout: 120_000 }, async () => {
  const file = await newFile("killed.sqlite");
  const acknowledged: string[] = [];
  for (let round = 0; round < 10; round++) {
    const appender = startAppender("sqlite", file, `round${round}`);
    await appender.until(200 + 37 * round);
    await appender.kill();
    acknowledged.push(...appender.acknowledged);
    const { store, close } = openers.sqlite(file);
    await expectLoad(store, acknowledged);
    close();
  }
  expect(acknowledged.length).toBeGreaterThan(3000);
});

test("batches of two processes on one file stay whole, also if one is killed", { timeout: 120_000 }, async () => {
  const file = await newFile("shared.sqlite");
  const first = startAppender("sqlite", file, "first");
  const second = startAppender("sqlite", file, "second");
  await Promise.all([first.until(500), second.until(500)]);
  await first.kill();
  const before = second.acknowledged.length;
  await second.until(before + 500);
  await second.kill();
  const { store, close } = openers.sqlite(file);
  await expectLoad(store, [...first.acknowledged, ...second.acknowledged]);
  close();
});

test("a full disk rejects the whole batch, and stored data stays usable", async () => {
  const database = new DatabaseSync(await newFile("full.sqlite"));
  const store = createSqliteStore(database);
  const pages = Number(Object.values(database.prepare("PRAGMA page_count").get()!)[0]);
  database.exec(`PRAGMA max_page_count = ${pages + 60}`);
  const acknowledged: string[] = [];
  async function fill(): Promise<never> {
    for (;;) {
      const name = `batch${acknowledged.length}`;
      await store.appendMessages(thread, batchOf(name, 5_000));
      acknowledged.push(name);
    }
  }
  await expect(fill()).rejects.toThrow(/full/);
  expect(acknowledged.length).toBeGreaterThan(3);
  expectWholeBatches(await store.listMessages(thread), acknowledged);
  await expect(store.updateMessage(thread, "batch0/0", { message: { role: "user", content: "y".repeat(500_000) } })).rejects.toThrow(
    /full/,
  );
  await expect(store.createThread({ owner: "x".repeat(500_000), threadId: "" }, "")).rejects.toThrow(/full/);
  expect((await store.listMessages(thread))[0]).toEqual(batchOf("batch0", 5_000)[0]);

  database.exec("PRAGMA max_page_count = 1000000");
  await store.appendMessages(thread, batchOf("after", 5_000));
  expectWholeBatches(await store.listMessages(thread), [...acknowledged, "after"]);
  database.close();
});
