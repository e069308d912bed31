import { createMemoryStore } from "chat-handler";
import { testMessageStore } from "chat-handler/testkit";

// The test function is the global one.
testMessageStore("memory store", { create: () => createMemoryStore(), threads: true });
