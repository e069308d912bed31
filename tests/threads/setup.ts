/** Sets up thread routes for one test, with a faulty store. */
import { onTestFinished } from "vitest";
import { type ChatHandlerError, createMemoryStore, type StoredMessage, type ThreadKey, type ThreadStore } from "../../src/index.ts";
import { createThreadHandler, type ThreadHandlerOptions } from "../../src/threads.ts";
import { createFaultyStore, type FaultyStore } from "../support/faulty-store.ts";
import { mount, type Via } from "../support/handler-server.ts";

/** Thread routes under test. */
export interface Threads {
  /** Sends a request to a path below the base path. A body is sent as JSON. */
  send(path: string, init?: { method?: string; body?: unknown; headers?: Record<string, string> }): Promise<Response>;
  /** The URL of the base path. Use it with `fetch` of this object. */
  readonly url: string;
  fetch: typeof fetch;
  /** The handler's store, with faults. */
  readonly store: FaultyStore;
  /** The store below, without faults. */
  readonly backingStore: ThreadStore;
  /** The errors that `onError` received. */
  readonly errors: ChatHandlerError[];
}

/** Every behavior is tested in each of these ways. */
export const variants: Via[] = ["direct", "server"];

/** Reads the owner from a header. */
export const ownerInHeader: ThreadHandlerOptions["authorize"] = ({ request }) => ({ owner: request.headers.get("X-Owner") ?? "ada" });

/** Mounts thread routes. They are closed after the test. */
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

/** A stored prompt. */
export const prompt = (n: number | string, content: unknown = `Prompt ${n}`): StoredMessage =>
  message(`p${n}`, `p${n}`, { role: "user", content });

/** A stored answer. */
export const answer = (n: number | string, content: unknown = `Answer ${n}`, rest: Partial<StoredMessage> = {}): StoredMessage =>
  message(`r${n}`, `p${n}`, { role: "assistant", content }, rest);

/** A stored message, valid or not. */
export const message = (id: string, promptId: string, message: unknown, rest: Partial<StoredMessage> = {}): StoredMessage => ({
  id,
  promptId,
  message: message as StoredMessage["message"],
  status: "complete",
  createdAt: 1_700_000_000_000,
  ...rest,
});

/** The body of a list of threads. */
export interface ThreadListBody {
  threads: { id: string; title: string; createdAt: number }[];
  nextCursor?: string;
}

/** Resolves to the JSON of a successful response. Rejects for any other. */
export async function readJson<T>(response: Response | Promise<Response>): Promise<T> {
  const { status, ok } = await response;
  if (!ok) throw new Error(`${status}: ${await (await response).text()}`);
  return (await (await response).json()) as T;
}
