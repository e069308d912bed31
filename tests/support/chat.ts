/** Sets up a chat endpoint for one test, with a model server and a faulty store. */
import { expect, onTestFinished, vi } from "vitest";
import {
  type ChatHandler,
  type ChatHandlerError,
  type ChatHandlerOptions,
  createChatHandler,
  createMemoryStore,
  type TurnEndEvent,
  type ModelClient,
  type StoredMessage,
  type ThreadStore,
} from "../../src/index.ts";
import { createFaultyStore, type FaultyStore } from "./faulty-store.ts";
import { type Handler, mount, post, type Post, type Via } from "./handler-server.ts";
import { type ModelServer, type Script, startModelServer } from "./model-server.ts";
import { echoPrompt } from "./model-scripts.ts";

/** Options of {@link startChat}. */
export interface ChatSetup extends Partial<ChatHandlerOptions> {
  via?: Via;
  /**
   * `"wrapped"`: without `asResponse`, like some tracing wrappers; `"traced"`: with `asResponse` and a promise of its own;
   * `"logged"`: with a `fetch` that reads a copy of each response.
   */
  clientKind?: "openai" | "wrapped" | "traced" | "logged";
  script?: Script;
  /** The store below the faults. @default a new memory store */
  backingStore?: ThreadStore;
  /** Another chat, whose data this one uses. So a test can retry without the faults of the first. */
  sharesStoreWith?: Chat;
}

/** A chat endpoint under test. */
export interface Chat {
  readonly model: ModelServer;
  /** The handler's store, with faults. */
  readonly store: FaultyStore;
  /** The store below, without faults. */
  readonly backingStore: ThreadStore;
  readonly handler: ChatHandler;
  readonly url: string;
  post: Post;
  /** Comes back to an answer. */
  resume(query: Record<string, string>, init?: RequestInit): Promise<Response>;
  /** Stops a turn. */
  stop(body: unknown, init?: RequestInit): Promise<Response>;
  /** The errors that `onError` received. */
  readonly errors: ChatHandlerError[];
  /** The turns that `onTurnEnd` received. */
  readonly turnEnds: TurnEndEvent[];
  /** Resolves when all turns so far have ended. */
  waitForTurns(): Promise<void>;
  /** Resolves to the stored messages of a thread. */
  listStored(threadId?: string, owner?: string): Promise<StoredMessage[]>;
}

/** Every behavior is tested in each of these ways. */
export const variants = [
  { name: "called directly", way: { via: "direct", clientKind: "openai" } },
  { name: "over a server", way: { via: "server", clientKind: "openai" } },
  { name: "with a wrapped client", way: { via: "direct", clientKind: "wrapped" } },
] as const satisfies { name: string; way: ChatSetup }[];

/** Starts a chat. It is closed after the test. */
export async function startChat({
  via = "direct",
  clientKind = "openai",
  script = echoPrompt,
  sharesStoreWith,
  backingStore = sharesStoreWith?.backingStore ?? createMemoryStore(),
  ...given
}: ChatSetup = {}): Promise<Chat> {
  const model = await startModelServer(script);
  const store = createFaultyStore(backingStore);
  const errors: ChatHandlerError[] = [];
  const ended: TurnEndEvent[] = [];
  const turns: Promise<void>[] = [];
  const client = model.client(clientKind === "logged" ? { fetch: fetchAndLog } : {});
  const handler = createChatHandler({
    store,
    client: clientKind === "wrapped" ? wrapClient(client) : clientKind === "traced" ? traceClient(client) : client,
    model: "test-model",
    onError: (error) => void errors.push(error),
    onTurnEnd: (turn) => void ended.push(turn),
    waitUntil: (turn) => void turns.push(turn),
    ...given,
  });
  const mounted = await mount(routeRequests(handler), via);
  // The Node server logs every body that errors, and here they should.
  const log = via === "server" ? vi.spyOn(console, "error").mockImplementation(() => {}) : undefined;
  onTestFinished(async () => {
    log?.mockRestore();
    await mounted.close();
    await model.close();
  });
  return {
    model,
    store,
    backingStore,
    handler,
    url: mounted.url,
    post: mounted.post,
    resume: (query, init) => mounted.send(`/resume?${new URLSearchParams(query)}`, init),
    stop: (body, init) => mounted.send("/stop", post(body, init)),
    errors,
    turnEnds: ended,
    waitForTurns: async () => void (await Promise.all(turns)),
    listStored: (threadId = "t", owner = "") => backingStore.listMessages({ owner, threadId }),
  };
}

/** Mounts a chat's three functions, as an app would. */
function routeRequests(chat: ChatHandler): Handler {
  return (request) => {
    const { pathname } = new URL(request.url);
    if (pathname.endsWith("/resume")) return chat.resume(request);
    return pathname.endsWith("/stop") ? chat.stop(request) : chat(request);
  };
}

/** Like some tracing wrappers: `create()` returns a plain promise of an async iterable. */
function wrapClient(client: ModelClient): ModelClient {
  return { chat: { completions: { create: async (body, options) => client.chat.completions.create(body, options) } } };
}

/** Like Sentry's wrapper: its own promise awaits the answer, too, and `asResponse` is that of the call. */
function traceClient(client: ModelClient): ModelClient {
  return {
    chat: {
      completions: {
        create(body, options) {
          const call = client.chat.completions.create(body, options) as PromiseLike<never> & { asResponse(): Promise<Response> };
          const span = (async () => await call)();
          return Object.assign(span, { asResponse: () => call.asResponse() });
        },
      },
    },
  };
}

/** A `fetch` that reads a copy of each response. Cancelling the body does not end the call, because the copy is still read. */
async function fetchAndLog(...call: Parameters<typeof fetch>): Promise<Response> {
  const response = await fetch(...call);
  void response
    .clone()
    .text()
    .catch(() => {});
  return response;
}

/** The body of a request: prompt `p<n>`, answer `r<n>`, thread `t`. */
export const chatBody = (content: unknown, n: number | string = 1, threadId = "t") => ({
  prompt: { id: `p${n}`, role: "user", content },
  threadId,
  responseId: `r${n}`,
});

/** What a client received. */
export interface ReceivedResponse {
  status: number;
  text: string;
  /** Whether the body errored. A clean end means that the answer is complete and stored. */
  failed: boolean;
}

/** Reads a response until it ends or errors. */
export async function readResponse(response: Response | Promise<Response>): Promise<ReceivedResponse> {
  const { status, body } = await response;
  const decoder = new TextDecoder();
  let text = "";
  try {
    for await (const bytes of body ?? []) text += decoder.decode(bytes, { stream: true });
    return { status, text: text + decoder.decode(), failed: false };
  } catch {
    return { status, text, failed: true };
  }
}

/** Stored messages as text: `role id status "content"`. */
export const summarize = (messages: readonly StoredMessage[]): string[] =>
  messages.map(({ id, message, status }) => `${message.role} ${id} ${status} ${JSON.stringify(message.content)}`);

/** Role and status of each stored message. For tests of tools, whose ids are random. */
export const rolesOf = (messages: readonly StoredMessage[]): string[] => messages.map(({ message, status }) => `${message.role} ${status}`);

/** The text of a stored message, or "". */
export function contentOf(stored: StoredMessage | undefined): string {
  const content = stored?.message.content ?? "";
  return typeof content === "string" ? content : JSON.stringify(content);
}

/** Checks the JSON of an error response and returns the error. */
export async function expectError(response: Response, status: number, code: string): Promise<{ message: string; param?: string }> {
  expect({ status: response.status, type: response.headers.get("Content-Type") }).toEqual({ status, type: "application/json" });
  const body = (await response.json()) as { error: { message: string; code: string; type: string; param?: string } };
  expect(Object.keys(body)).toEqual(["error"]);
  expect(body.error.code).toBe(code);
  expect(body.error.type).toBe(status < 500 ? "invalid_request_error" : "server_error");
  expect(body.error.message).toMatch(/\S/);
  return body.error;
}
