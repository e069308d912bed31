/** This library with its defaults, except for the flush interval. */
import OpenAI from "openai";
import { createChatHandler, createMemoryStore } from "../../../src/index.ts";
import { type Handler, model, type Upstream } from "../workload.ts";

export function createOurs({ baseURL, fetch }: Upstream, flushInterval?: number): Handler {
  const client = new OpenAI({ apiKey: "bench", baseURL, fetch });
  return createChatHandler({ client, model, store: createMemoryStore(), flushInterval });
}
