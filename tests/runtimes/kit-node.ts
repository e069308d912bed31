import { test } from "node:test";
import { createMemoryStore } from "chat-handler";
import { testMessageStore } from "chat-handler/testkit";

testMessageStore("memory store", { create: () => createMemoryStore(), threads: true }, { test });
