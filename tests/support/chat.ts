/** A chat endpoint with everything around it, for one test: model server, faulty store, handler, and what the handler told the app. */
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
import { mount, type Post, type Via } from "./handler-server.ts";
import { type ModelServer, type Script, startModelServer } from "./model-server.ts";
import { echoPrompt } from "./model-scripts.ts";

/** What a chat is made of; all optional. */
export interface ChatSetup extends Partial<ChatHandlerOptions> {
  via?: Via;
  /**
   * `"wrapped"`: a client without `asResponse`, as tracing wrappers are; `"traced"`: one with it, and a promise of its own;
   * `"logged"`: one whose `fetch` reads a copy of each response.
   */
  clientKind?: "openai" | "wrapped" | "traced" | "logged";
  script?: Script;
  /** What is stored in. @default a memory store of its own */
  backingStore?: ThreadStore;
  /** Another chat, whose data this one takes over: with it, a fault of the one is healed by the other. */
  sharesStoreWith?: Chat;
}

/** A chat endpoint under test. */
export interface Chat {
  readonly model: ModelServer;
  /** What the handler stores in. */
  readonly store: FaultyStore;
  /** What is really stored. */
  readonly backingStore: ThreadStore;
  readonly handler: ChatHandler;
  readonly url: string;
  post: Post;
  /** All that `onError` got. */
  readonly errors: ChatHandlerError[];
  /** All that `onTurnEnd` got. */
  readonly turnEnds: TurnEndEvent[];
  /** Resolves when every turn so far is through. */
  waitForTurns(): Promise<void>;
  /** The stored messages of a thread. */
  listStored(threadId?: string, owner?: string): Promise<StoredMessage[]>;
}

/** The ways in which every behaviour should be the same. */
export const variants = [
  { name: "called directly", way: { via: "direct", clientKind: "openai" } },
  { name: "over a server", way: { via: "server", clientKind: "openai" } },
  { name: "with a wrapped client", way: { via: "direct", clientKind: "wrapped" } },
] as const satisfies { name: string; way: ChatSetup }[];

/** Sets up a chat that is taken down after the test. */
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
  const mounted = await mount(handler, via);
  // The Node server logs every body that errors; here that is what bodies are meant to do.
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
    errors,
    turnEnds: ended,
    waitForTurns: async () => void (await Promise.all(turns)),
    listStored: (threadId = "t", owner = "") => backingStore.listMessages({ owner, threadId }),
  };
}

/** A client as tracing wrappers make it: `create()` gives a plain promise of an async iterable. */
function wrapClient(client: ModelClient): ModelClient {
  return { chat: { completions: { create: async (body, options) => client.chat.completions.create(body, options) } } };
}

/** A client as Sentry wraps it: its own promise awaits the answer, too, and `asResponse` is that of the call. */
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

/** A `fetch` that logs what it gets. Cancelling the body of what it gives does not end the call: the copy still reads. */
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

/** What a client saw of an answer. */
export interface ReceivedResponse {
  status: number;
  text: string;
  /** Whether the body errored; a clean end says that the answer is whole and stored. */
  failed: boolean;
}

/** Reads a response as far as it goes. */
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

/** Stored messages in short: `role id status "content"`. */
export const summarize = (messages: readonly StoredMessage[]): string[] =>
  messages.map(({ id, message, status }) => `${message.role} ${id} ${status} ${JSON.stringify(message.content)}`);

/** Who said each stored message, and how it ended: what a test of tools looks at, for their ids are random. */
export const rolesOf = (messages: readonly StoredMessage[]): string[] => messages.map(({ message, status }) => `${message.role} ${status}`);

/** The text of a stored message, "" where there is none. */
export function contentOf(stored: StoredMessage | undefined): string {
  const content = stored?.message.content ?? "";
  return typeof content === "string" ? content : JSON.stringify(content);
}

/** Checks the JSON of an error and gives it. */
export async function expectError(response: Response, status: number, code: string): Promise<{ message: string; param?: string }> {
  expect({ status: response.status, type: response.headers.get("Content-Type") }).toEqual({ status, type: "application/json" });
  const body = (await response.json()) as { error: { message: string; code: string; type: string; param?: string } };
  expect(Object.keys(body)).toEqual(["error"]);
  expect(body.error.code).toBe(code);
  expect(body.error.type).toBe(status < 500 ? "invalid_request_error" : "server_error");
  expect(body.error.message).toMatch(/\S/);
  return body.error;
}
