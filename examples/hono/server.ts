import { readFileSync } from "node:fs";
import { DatabaseSync } from "node:sqlite";
import { serve } from "@hono/node-server";
import { createChatHandler } from "chat-handler";
import { createDemoModel } from "chat-handler/demo-model";
import { createSqliteStore } from "chat-handler/sqlite";
import { Hono } from "hono";
import OpenAI from "openai";

const { PORT = "3000", THESYS_API_KEY, THESYS_BASE_URL = "https://api.thesys.dev/v1/embed/" } = process.env;

const chat = createChatHandler({
  client: THESYS_API_KEY
    ? new OpenAI({ apiKey: THESYS_API_KEY, baseURL: THESYS_BASE_URL })
    : new OpenAI({ apiKey: "demo", baseURL: "http://demo.invalid/v1", fetch: createDemoModel({ format: "text" }) }),
  model: "c1/anthropic/claude-sonnet-4/v-20251230",
  store: createSqliteStore(new DatabaseSync("chat.sqlite"), { migrate: true }),
  disconnect: { graceMs: 5_000 }, // how long a page that reloads can take to resume its answer
});

const page = readFileSync(new URL("index.html", import.meta.url), "utf8");

const app = new Hono();
app.get("/", (context) => context.html(page));
app.post("/api/chat", (context) => chat(context.req.raw));
app.get("/api/chat", (context) => chat.resume(context.req.raw));
app.post("/api/chat/stop", (context) => chat.stop(context.req.raw));

// Without `authorize`, everyone shares the threads. So listen only on this machine.
serve({ fetch: app.fetch, hostname: "127.0.0.1", port: Number(PORT) }, ({ port }) => {
  console.log(`Chat with ${THESYS_API_KEY ? "C1" : "the demo model"} at http://localhost:${port}`);
});
