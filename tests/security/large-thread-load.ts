/** Queues turns on a thread with 100 prompts of 1 MB, in a process with a small heap. Prints what each received. */
import { DatabaseSync } from "node:sqlite";
import type { ChatCompletionChunk } from "openai/resources/chat/completions";
import { createChatHandler, type ModelClient, type StoredMessage } from "../../src/index.ts";
import { createSqliteStore } from "../../src/sqlite.ts";
import { allowAnyone, createThreadHandler } from "../../src/threads.ts";

async function* answer(content: string): AsyncGenerator<ChatCompletionChunk> {
  const choices = [{ index: 0, delta: { content }, finish_reason: "stop" as const }];
  yield { id: "c", object: "chat.completion.chunk", created: 0, model: "m", choices };
}

const client: ModelClient = {
  chat: {
    completions: {
      async create({ messages }) {
        return answer(`${messages.length} messages`);
      },
    },
  },
};

// SQLite keeps the thread outside of the heap.
const store = createSqliteStore(new DatabaseSync(":memory:"), { migrate: true });
const thread = { owner: "", threadId: "t" };
for (let count = 0; count < 100; count++) {
  const id = `stored ${count}`;
  const url = `data:image/png;base64,${"A".repeat(1_000_000)}`;
  const message: StoredMessage["message"] = { role: "user", content: [{ type: "image_url", image_url: { url } }] };
  await store.appendMessages(thread, [{ id, promptId: id, message, status: "complete", createdAt: 0 }]);
}

const chat = createChatHandler({ store, client, model: "m", onError: () => {} });
const threads = createThreadHandler({ store, authorize: allowAnyone });

async function ask(id: string): Promise<string> {
  const body = JSON.stringify({ prompt: { id: `p${id}`, role: "user", content: "Hi" }, threadId: "t", responseId: `r${id}` });
  const response = await chat(new Request("http://chat.test/", { method: "POST", headers: { "Content-Type": "application/json" }, body }));
  return response.text();
}

async function load(): Promise<number> {
  const response = await threads(new Request("http://chat.test/get/t"));
  return ((await response.json()) as unknown[]).length;
}

const answers = await Promise.all(Array.from({ length: 33 }, (_, index) => ask(`${index}`)));
const loaded = await Promise.all(Array.from({ length: 4 }, load));
console.log(JSON.stringify({ answers, loaded }));
process.exit();
