import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ClassicLevel } from "classic-level";
import { afterAll, test } from "vitest";
import { createLevelStore } from "../../examples/stores/leveldb/store.ts";
import { testMessageStore } from "../../src/testkit.ts";

const folder = mkdtempSync(join(tmpdir(), "chat-handler-leveldb-"));
let databases = 0;

async function openStore(place: string) {
  const database = new ClassicLevel(place);
  await database.open();
  return { ...createLevelStore(database), place, close: () => database.close() };
}

testMessageStore(
  "LevelDB",
  {
    threads: false,
    create: () => openStore(join(folder, String(++databases))),
    async reopen({ place, close }) {
      await close();
      return openStore(place);
    },
    destroy: ({ close }) => close(),
  },
  { test },
);

afterAll(() => rmSync(folder, { recursive: true }));
