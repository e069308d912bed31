/** The app that every runtime serves: the handler over the demo model, and what a test wants to know of it. */
import { createChatHandler, createMemoryStore } from "chat-handler";
import { createDemoModel } from "chat-handler/demo-model";
import OpenAI from "openai";

/** What `GET /state?threadId=…` answers. */
export interface State {
  /** Calls of the model so far. */
  calls: number;
  /** How many of them were aborted. */
  aborted: number;
  /** The messages of the thread: role, content and how each ended. */
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

/** Serves one request. `waitUntil` is the platform's, where it has one. */
export async function serveApp(request: Request, waitUntil?: (promise: Promise<void>) => void): Promise<Response> {
  const { pathname, searchParams } = new URL(request.url);
  if (pathname === "/chat") return createChatHandler({ client, model: "demo", store, waitUntil, onError: () => {} })(request);
  const kept = await store.listMessages({ owner: "", threadId: searchParams.get("threadId") ?? "" });
  const messages = kept.map(({ message: { role, content = null }, status }) => ({ role, content, status }));
  return Response.json({ calls, aborted, messages } satisfies State);
}
