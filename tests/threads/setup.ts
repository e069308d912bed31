/** Thread routes with everything around them, for one test: a faulty store, the handler, and what it told the app. */
import { onTestFinished } from "vitest";
import { type ChatHandlerError, createMemoryStore, type StoredMessage, type ThreadKey, type ThreadStore } from "../../src/index.ts";
import { createThreadHandler, type ThreadHandlerOptions } from "../../src/threads.ts";
import { createFaultyStore, type FaultyStore } from "../support/faulty-store.ts";
import { mount, type Via } from "../support/handler-server.ts";

/** Thread routes under test. */
export interface Threads {
  /** Sends a request to a path behind the base path. A body is sent as JSON. */
  send(path: string, init?: { method?: string; body?: unknown; headers?: Record<string, string> }): Promise<Response>;
  /** The address of the base path, for clients; `fetch` reaches it. */
  readonly url: string;
  fetch: typeof fetch;
  /** What the handler stores in. */
  readonly store: FaultyStore;
  /** What is really stored. */
  readonly backingStore: ThreadStore;
  /** All that `onError` got. */
  readonly errors: ChatHandlerError[];
}

/** The ways in which every behaviour should be the same. */
export const variants: Via[] = ["direct", "server"];

/** The owner is who the request says it is: enough for a test. */
export const ownerInHeader: ThreadHandlerOptions["authorize"] = ({ request }) => ({ owner: request.headers.get("X-Owner") ?? "ada" });

/** Mounts thread routes that are taken down after the test. */
export async function startThreads(via: Via, options: Partial<ThreadHandlerOptions> & { path?: string } = {}): Promise<Threads> {
  const { path = "/api/threads", store: given = createMemoryStore(), ...rest } = options;
  const store = createFaultyStore(given);
  const errors: ChatHandlerError[] = [];
  const handler = createThreadHandler({ store, authorize: ownerInHeader, onError: (error) => void errors.push(error), ...rest });
  const mounted = await mount(handler, via);
  onTestFinished(() => mounted.close());
  const url = new URL(mounted.url).origin + path;
  const reach: typeof fetch = via === "server" ? fetch : async (input, init) => handler(new Request(input, init));
  return {
    url,
    fetch: reach,
    store,
    backingStore: given,
    errors,
    send: (path, { method = "GET", body, headers } = {}) =>
      reach(url + path, {
        method,
        headers: { ...(body !== undefined && { "Content-Type": "application/json" }), ...headers },
        ...(body !== undefined && { body: typeof body === "string" ? body : JSON.stringify(body) }),
      }),
  };
}

export const ada = (threadId: string): ThreadKey => ({ owner: "ada", threadId });

/** A prompt as it is stored. */
export const prompt = (n: number | string, content: unknown = `Prompt ${n}`): StoredMessage =>
  message(`p${n}`, `p${n}`, { role: "user", content });

/** An answer as it is stored. */
export const answer = (n: number | string, content: unknown = `Answer ${n}`, rest: Partial<StoredMessage> = {}): StoredMessage =>
  message(`r${n}`, `p${n}`, { role: "assistant", content }, rest);

/** Any message as it is stored, also such as should never be. */
export const message = (id: string, promptId: string, message: unknown, rest: Partial<StoredMessage> = {}): StoredMessage => ({
  id,
  promptId,
  message: message as StoredMessage["message"],
  status: "complete",
  createdAt: 1_700_000_000_000,
  ...rest,
});

/** A list of threads, as the route gives it. */
export interface ThreadListBody {
  threads: { id: string; title: string; createdAt: number }[];
  nextCursor?: string;
}

/** The JSON of a successful answer. */
export async function readJson<T>(response: Response | Promise<Response>): Promise<T> {
  const { status, ok } = await response;
  if (!ok) throw new Error(`${status}: ${await (await response).text()}`);
  return (await (await response).json()) as T;
}
