import { DatabaseSync } from "node:sqlite";
import { createChatHandler } from "chat-handler";
import { createDemoModel } from "chat-handler/demo-model";
import { toNodeHandler } from "chat-handler/node";
import { createSqliteStore } from "chat-handler/sqlite";
import compression from "compression";
import express, { type ErrorRequestHandler } from "express";
import OpenAI from "openai";

const { PORT = "3000", THESYS_API_KEY, THESYS_BASE_URL = "https://api.thesys.dev/v1/embed/" } = process.env;

const chat = createChatHandler({
  client: THESYS_API_KEY
    ? new OpenAI({ apiKey: THESYS_API_KEY, baseURL: THESYS_BASE_URL })
    : new OpenAI({ apiKey: "demo", baseURL: "http://demo.invalid/v1", fetch: createDemoModel({ format: "text" }) }),
  model: "c1/anthropic/claude-sonnet-4/v-20251230",
  store: createSqliteStore(new DatabaseSync("chat.sqlite"), { migrate: true }),
});

const handle = toNodeHandler(chat);

/** Answers a body that express.json() rejects with the handler's error. */
const onBodyError: ErrorRequestHandler = (error, request, response, next) => {
  if (String(error.type).startsWith("entity.")) return handle(request, response, error);
  return next(error);
};

const app = express();
app.use(compression());
app.use(express.json({ limit: "1mb" })); // the handler uses the parsed body
app.get("/", (_request, response) => response.sendFile("index.html", { root: import.meta.dirname }));
app.post("/api/chat", handle);
app.use("/api/chat", onBodyError);

// Without `authorize`, everyone shares the threads. So listen only on this machine.
app.listen(Number(PORT), "127.0.0.1", () => {
  console.log(`Chat with ${THESYS_API_KEY ? "C1" : "the demo model"} at http://localhost:${PORT}`);
});
