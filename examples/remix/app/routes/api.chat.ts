import { DatabaseSync } from "node:sqlite";
import { createChatHandler } from "chat-handler";
import { createDemoModel } from "chat-handler/demo-model";
import { createSqliteStore } from "chat-handler/sqlite";
import OpenAI from "openai";
import type { Route } from "./+types/api.chat";

const { THESYS_API_KEY, THESYS_BASE_URL = "https://api.thesys.dev/v1/embed/" } = process.env;

const chat = createChatHandler({
  client: THESYS_API_KEY
    ? new OpenAI({ apiKey: THESYS_API_KEY, baseURL: THESYS_BASE_URL })
    : new OpenAI({ apiKey: "demo", baseURL: "http://demo.invalid/v1", fetch: createDemoModel({ format: "text" }) }),
  model: "c1/anthropic/claude-sonnet-4/v-20251230",
  store: createSqliteStore(new DatabaseSync("chat.sqlite"), { migrate: true }),
});

/** A resource route: a module without a component. Its action is called for POST. */
export function action({ request }: Route.ActionArgs): Promise<Response> {
  return chat(request);
}
