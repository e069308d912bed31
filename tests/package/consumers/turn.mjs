/** Loads every entry of the installed package and takes one turn. Prints the answer. */
import OpenAI from "openai";
import { createChatHandler, createMemoryStore } from "chat-handler";
import { createDemoModel } from "chat-handler/demo-model";
import description from "chat-handler/package.json" with { type: "json" };

const entries = Object.keys(description.exports).filter((name) => name !== "./package.json");
for (const name of entries) await import(name.replace(".", "chat-handler"));

const handler = createChatHandler({
  client: new OpenAI({ apiKey: "none", baseURL: "http://demo.invalid/v1", fetch: createDemoModel({ tokensPerSecond: 0, format: "text" }) }),
  model: "demo",
  store: createMemoryStore(),
});
const body = JSON.stringify({ prompt: { id: "p1", role: "user", content: "Hello" }, threadId: "t1", responseId: "r1" });
const headers = { "Content-Type": "application/json" };
const response = await handler(new Request("http://localhost/", { method: "POST", headers, body }));
console.log(response.status, await response.text());
