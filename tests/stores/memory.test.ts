import { test } from "vitest";
import { createMemoryStore } from "../../src/index.ts";
import { testMessageStore } from "../../src/testkit.ts";

testMessageStore("memory", { create: () => createMemoryStore(), threads: true }, { test });
