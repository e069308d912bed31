import { createMemoryStore } from "chat-handler";
import { createSqliteStore, type SqliteDatabase, type SqliteStore } from "chat-handler/sqlite";
import { testMessageStore, type TestFunction } from "chat-handler/testkit";

// Their types are not installed.
const [runner, sqlite]: string[] = ["bun:test", "bun:sqlite"];
const { test }: { test: TestFunction } = await import(runner!);
const { Database }: { Database: new (file: string) => SqliteDatabase } = await import(sqlite!);

testMessageStore("memory store", { create: () => createMemoryStore(), threads: true }, { test });

async function create(): Promise<SqliteStore> {
  const store = createSqliteStore(new Database(":memory:"));
  await store.migrate();
  return store;
}

testMessageStore("bun:sqlite", { create, threads: true }, { test });
