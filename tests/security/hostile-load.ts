/** Runs 200 streams of a hostile owner beside 50 honest ones, in a process with a small heap. Prints what the honest ones received. */
import { setTimeout as delay } from "node:timers/promises";
import type { ChatCompletionChunk } from "openai/resources/chat/completions";
import { createChatHandler, createMemoryStore, type ModelClient } from "../../src/index.ts";
import { createTools } from "../../src/tools.ts";

type Delta = ChatCompletionChunk.Choice.Delta;

const chunk = (delta: Delta, finish_reason: "stop" | "tool_calls" | null = null): ChatCompletionChunk => ({
  id: "c",
  object: "chat.completion.chunk",
  created: 0,
  model: "m",
  choices: [{ index: 0, delta, finish_reason }],
});

/** Answers with 900,000 characters, calls a tool, or says one word, as the prompt asks. */
async function* answer(prompt: string, isAfterTools: boolean): AsyncGenerator<ChatCompletionChunk> {
  if (prompt.startsWith("long")) {
    for (let count = 0; count < 90; count++) {
      await delay(0);
      yield chunk({ content: `${count % 10}`.repeat(10_000) });
    }
  } else if (prompt === "tools" && !isAfterTools) {
    const calls = Array.from({ length: 100 }, (_, index) => ({ index, id: `c${index}`, function: { name: "dump", arguments: "{}" } }));
    yield chunk({ tool_calls: calls });
    return yield chunk({}, "tool_calls");
  } else {
    yield chunk({ content: `Hello ${prompt}` });
  }
  yield chunk({}, "stop");
}

const client: ModelClient = {
  chat: {
    completions: {
      create({ messages }) {
        const prompt = messages.findLast(({ role }) => role === "user")?.content;
        return Promise.resolve(answer(typeof prompt === "string" ? prompt : "", messages.at(-1)?.role === "tool"));
      },
    },
  },
};

const store = createMemoryStore();
const handler = createChatHandler({
  store,
  client,
  model: "m",
  tools: createTools([{ name: "dump", run: () => "x".repeat(2_000_000).replace("x", "y") }], { resultCharacters: 10_000 }),
  authorize: ({ request }) => ({ owner: request.headers.get("X-Owner") ?? "" }),
  onError: () => {},
});

let asked = 0;
function ask(owner: string, content: string, threadId: string, id = `${asked++}`): Promise<Response> {
  return handler(
    new Request("http://chat.test/", {
      method: "POST",
      headers: { "Content-Type": "application/json", "X-Owner": owner },
      body: JSON.stringify({ prompt: { id: `p${id}`, role: "user", content }, threadId, responseId: `r${id}` }),
    }),
  );
}

for (let count = 0; count < 50; count++) {
  const id = `stored ${count}`;
  const message = { role: "user", content: "x".repeat(90_000) } as const;
  await store.appendMessages({ owner: "eve", threadId: "full" }, [{ id, promptId: id, message, status: "complete", createdAt: 0 }]);
}
await (await ask("eve", "long to replay", "replayed", "replay")).text();

const hostile = [
  ...Array.from({ length: 50 }, () => ask("eve", "long to replay", "replayed", "replay")),
  ...Array.from({ length: 67 }, (_, index) => ask("eve", "long unread", `unread ${index}`)),
  ...Array.from({ length: 33 }, () => ask("eve", "long in line", "full")),
  ...Array.from({ length: 50 }, (_, index) => ask("eve", "tools", `tools ${index}`)),
];
// Held and never read.
const held: Response[] = [];
for (const response of hostile) void response.then((given) => held.push(given));

const askedAt = performance.now();
const honest = await Promise.all(Array.from({ length: 50 }, async (_, index) => (await ask(`owner ${index}`, `${index}`, "t")).text()));
const waited = performance.now() - askedAt;
await delay(2_000);
const later = await Promise.all(
  Array.from({ length: 50 }, async (_, index) => (await ask(`owner ${index}`, `${index} again`, "t")).text()),
);
const stored = await Promise.all(Array.from({ length: 50 }, (_, index) => store.listMessages({ owner: `owner ${index}`, threadId: "t" })));
console.log(JSON.stringify({ waited, honest, later, stored: stored.map(({ length }) => length), held: held.length }));
process.exit();
