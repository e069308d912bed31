/** The app that every runtime serves: the handler with the demo model, and a route for its state. */
import { createChatHandler, createMemoryStore } from "chat-handler";
import { createDemoModel } from "chat-handler/demo-model";
import OpenAI from "openai";

/** The response of `GET /state?threadId=…`. */
export interface State {
  /** Model calls so far. */
  calls: number;
  /** How many of them were aborted. */
  aborted: number;
  /** The messages of the thread: role, content and status. */
  messages: { role: string; content: unknown; status: string }[];
}

const store = createMemoryStore();
const demo = createDemoModel({ format: "text", tokensPerSecond: 300 });
let calls = 0;
let aborted = 0;

const client = new OpenAI({
  apiKey: "none",
  baseURL: "http://demo.invalid/v1",
  fetch: (input, init) => {
    calls += 1;
    init?.signal?.addEventListener("abort", () => (aborted += 1));
    return demo(input, init);
  },
});

/** Serves one request. `waitUntil` is the platform's, if it has one. */
export async function serveApp(request: Request, waitUntil?: (promise: Promise<void>) => void): Promise<Response> {
  const { pathname, searchParams } = new URL(request.url);
  const disconnect = searchParams.get("disconnect") === "continue" ? "continue" : "stop";
  const chat = createChatHandler({ client, model: "demo", store, waitUntil, disconnect, onError: () => {} });
  if (pathname === "/chat") return chat(request);
  if (pathname === "/resume") return chat.resume(request);
  if (pathname === "/stop") return chat.stop(request);
  const stored = await store.listMessages({ owner: "", threadId: searchParams.get("threadId") ?? "" });
  const messages = stored.map(({ message: { role, content = null }, status }) => ({ role, content, status }));
  return Response.json({ calls, aborted, messages } satisfies State);
}
