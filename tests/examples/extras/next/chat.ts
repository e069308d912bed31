import { createChatHandler, createMemoryStore } from "chat-handler";
import OpenAI from "openai";

export const chat = createChatHandler({
  client: new OpenAI({ apiKey: "sk-test", baseURL: process.env.THESYS_BASE_URL, maxRetries: 0 }),
  model: "test-model",
  store: createMemoryStore(),
});
