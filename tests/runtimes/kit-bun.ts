import { createMemoryStore } from "chat-handler";
import { testMessageStore, type TestFunction } from "chat-handler/testkit";

const runner: string = "bun:test"; // its types are not at hand
const { test }: { test: TestFunction } = await import(runner);

testMessageStore("memory store", { create: () => createMemoryStore(), threads: true }, { test });
