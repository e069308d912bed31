import { DatabaseSync } from "node:sqlite";
import { createChatHandler } from "chat-handler";
import { createDemoModel } from "chat-handler/demo-model";
import { createSqliteStore } from "chat-handler/sqlite";
import OpenAI from "openai";

const { THESYS_API_KEY, THESYS_BASE_URL = "https://api.thesys.dev/v1/embed/" } = process.env;

const chat = createChatHandler({
  client: THESYS_API_KEY
    ? new OpenAI({ apiKey: THESYS_API_KEY, baseURL: THESYS_BASE_URL })
    : new OpenAI({ apiKey: "demo", baseURL: "http://demo.invalid/v1", fetch: createDemoModel({ format: "text" }) }),
  model: "c1/anthropic/claude-sonnet-4/v-20251230",
  store: createSqliteStore(new DatabaseSync("chat.sqlite"), { migrate: true }),
  disconnect: { graceMs: 5_000 }, // how long a page that reloads can take to resume its answer
});

export const POST = (request: Request) => (request.url.endsWith("/stop") ? chat.stop(request) : chat(request));
export const GET = chat.resume;
