/** What an app may say to `createChatHandler`, the defaults, and what is refused at construction. */
import type { ChatCompletionCreateParamsStreaming } from "openai/resources/chat/completions";
import type { CompletionUsage } from "openai/resources/completions";
import type { ChatHandlerError } from "../core/errors.ts";
import { createErrorLog } from "../core/log-error.ts";
import type { ModelClient } from "../model/model.ts";
import type { Prompt } from "../core/prompt.ts";
import { type MessageStatus, type MessageStore, messageStoreMethods } from "../core/store.ts";
import { checkStore, misuse, withDefaults } from "../core/options-check.ts";
import type { ToolRunner } from "../tools/create-tools.ts";

/** What a request asks for, before it is known who asks. */
export interface RequestContext {
  /** The request; its body is read already. */
  request: Request;
  /** The thread it names. */
  threadId: string;
  /** The client's name for the answer. */
  responseId: string;
  /** The prompt, as it was admitted. */
  prompt: Prompt;
}

/** A request with the owner that `authorize` found. */
export interface TurnContext extends RequestContext {
  /** Whose thread it is; `""` where the app has no users. */
  owner: string;
}

/** Who asks: the user or tenant that owns the threads this request may see. */
export interface Authorized {
  /** Goes into every store call. */
  owner: string;
}

/** What `authorize` may return: the owner, a refusal, or nothing where the app has no users. */
export type AuthorizeResult = Authorized | Response | undefined | void;

/** What a handler bounds. Beyond a bound there is an error, never a silent cut. */
export interface Limits {
  /** Size of a request body in bytes → 413. @default 1048576 (1 MiB) */
  bodyBytes: number;
  /** Text of a prompt in characters (UTF-16 code units) → 400. @default 100000 */
  promptCharacters: number;
  /** Length of an id in characters → 400. @default 128 */
  idCharacters: number;
  /** Text of an answer, with the arguments of its tool calls, in characters; beyond it the answer fails. @default 1000000 */
  answerCharacters: number;
  /** Model calls in one turn; a model that goes on calling tools fails the answer. @default 8 */
  steps: number;
  /** Turns that may wait on one thread → 409. @default 32 */
  queue: number;
}

/** How long a handler waits, in milliseconds. At most 2147483647. */
export interface Timeouts {
  /** For a request body to arrive → 400. @default 30000 */
  body: number;
  /** For a turn's place in the thread's queue → 409. @default 60000 */
  queue: number;
  /**
   * For one call of the store → 503. Make it longer than the database client's own timeout: a call given up here may still happen
   * later, though it replaces nothing that is whole by then.
   *
   * @default 10000
   */
  store: number;
  /** For the first chunk of a model call → 504. @default 120000 */
  firstChunk: number;
  /** Between two chunks of the model → 504. @default 60000 */
  idle: number;
  /** For a whole turn, a client that does not read included → 504. @default 600000 */
  turn: number;
}

/** How much of a thread goes to the model. */
export interface HistoryOptions {
  /** At most the newest this many messages, the prompt among them; begun at a whole turn. @default 100 */
  maxMessages: number;
}

/**
 * Further parameters of the model call: all of OpenAI's but `messages`, `model`, `stream` and `tools`, which the handler sets, and `n`,
 * `functions` and `function_call`, for which it has no use.
 */
export type ModelParams = Omit<
  Partial<ChatCompletionCreateParamsStreaming>,
  "messages" | "model" | "stream" | "n" | "tools" | "functions" | "function_call"
>;

/** A turn that has ended, for logs and bills. */
export interface TurnEndEvent extends TurnContext {
  /** How it ended. */
  status: MessageStatus;
  /** The finish reason of the step it ended in, where one arrived; none where it ended between two steps. */
  finishReason: string | undefined;
  /** Tokens of all its steps, where the model reported them (`params: { stream_options: { include_usage: true } }`). */
  usage: CompletionUsage | undefined;
  /** Model calls made. */
  steps: number;
  /** What stopped it, where it is not complete. */
  error: ChatHandlerError | undefined;
  /** Milliseconds since the request was authorized. */
  timings: {
    /** Until its place in the queue. */
    queued: number;
    /** Until its first text, where there was one. */
    firstText: number | undefined;
    /** Until all of it was stored. */
    total: number;
  };
}

/** Where an error happened: whatever was known by then. */
export type ErrorContext = Partial<TurnContext>;

/** Any of the fields; `undefined` counts as absent. */
export type SomeOf<T> = { [Name in keyof T]?: T[Name] | undefined };

/** Options of `createChatHandler`. */
export interface ChatHandlerOptions {
  /** Keeps the threads. */
  store: MessageStore;
  /** An `OpenAI` client, or anything with its `chat.completions.create`. */
  client: ModelClient;
  /** The model's name, or a function that picks one for each turn. */
  model: string | ((context: TurnContext) => string | Promise<string>);
  /**
   * Says who asks. Return the owner of the threads, or nothing where the app has no users. To refuse, return or throw a `Response`,
   * or throw a `ChatHandlerError` (`unauthorized`, `forbidden`, `not_found`, `rate_limited`). Anything else refuses with 500. Runs
   * before the store is read or written. It may read cookies and headers; the body is already read.
   *
   * @default every thread belongs to owner `""`: whoever knows or guesses a thread id can continue that thread
   */
  authorize?: ((context: RequestContext) => AuthorizeResult | Promise<AuthorizeResult>) | undefined;
  /** Sent to the model first; never stored, never sent to the browser. @default none */
  systemPrompt?: string | ((context: TurnContext) => string | Promise<string>) | undefined;
  /** Further parameters of the model call, or a function that picks them for each turn. @default none */
  params?: ModelParams | ((context: TurnContext) => ModelParams | Promise<ModelParams>) | undefined;
  /** Tools the model may call, from `createTools` of `chat-handler/tools`; calls and results are stored with the answer. @default none */
  tools?: ToolRunner | undefined;
  /** How much of the thread goes to the model. */
  history?: SomeOf<HistoryOptions> | undefined;
  /** What happens to a prompt while another turn runs on its thread: it waits in order, or is refused with 409. @default "queue" */
  concurrency?: "queue" | "reject" | undefined;
  /** Bounds. */
  limits?: SomeOf<Limits> | undefined;
  /** Waits. */
  timeouts?: SomeOf<Timeouts> | undefined;
  /**
   * The first text is sent at once, later text at most every this many milliseconds. Over sockets most of a turn's cost is in
   * writes, and C1Chat redraws every 70 ms at most. `0` sends every network read of the model by itself.
   *
   * @default 50
   */
  flushInterval?: number | undefined;
  /**
   * Answers failures before the first byte with status 200 and a C1 card that says what happened, for C1Chat shows nothing on
   * an error status. The card is never stored and never replayed; the code is in the header `X-Chat-Handler-Error`.
   *
   * @default false
   */
  showErrors?: boolean | undefined;
  /**
   * Titles a thread from its first prompt, instead of the prompt's own text. May ask a model: the turn does not wait for it. Works
   * on a store with threads, and on no other; leaves a title alone that was changed meanwhile.
   *
   * @default the first prompt's plain text, at most 80 characters
   */
  generateTitle?: ((context: TurnContext) => string | Promise<string>) | undefined;
  /** Called once for each turn that was taken up, after it is stored. What it throws goes to `onError`. */
  onTurnEnd?: ((turn: TurnEndEvent) => unknown) | undefined;
  /**
   * Gets every error whole, with its `cause`, but for a client that left. What it throws is ignored.
   *
   * @default `console.error` for statuses of 429, 500 and above; for `body_already_read` once
   */
  onError?: ((error: ChatHandlerError, context: ErrorContext) => unknown) | undefined;
  /**
   * Keeps a serverless instance alive until the promise settles, which it does without rejecting when the turn is stored: `waitUntil`
   * of `@vercel/functions` or of `cloudflare:workers`.
   */
  waitUntil?: ((promise: Promise<void>) => unknown) | undefined;
  /** Makes the ids of messages within a turn (tool calls and results), a new one each time. @default `crypto.randomUUID` */
  generateId?: (() => string) | undefined;
  /** The clock behind `createdAt`, in epoch milliseconds. @default `Date.now` */
  now?: (() => number) | undefined;
}

/** What has a default. */
interface Defaults {
  params: NonNullable<ChatHandlerOptions["params"]>;
  concurrency: "queue" | "reject";
  flushInterval: number;
  onError: NonNullable<ChatHandlerOptions["onError"]>;
  generateId: () => string;
  now: () => number;
  history: HistoryOptions;
  limits: Limits;
  timeouts: Timeouts;
}

/** Options with every default in place. */
export interface Settings extends Omit<ChatHandlerOptions, keyof Defaults>, Defaults {}

/** What holds where an app says nothing. */
export const defaults: Omit<Defaults, "onError"> = {
  params: {},
  concurrency: "queue",
  flushInterval: 50,
  generateId: () => crypto.randomUUID(),
  now: Date.now,
  history: { maxMessages: 100 },
  limits: { bodyBytes: 1024 * 1024, promptCharacters: 100_000, idCharacters: 128, answerCharacters: 1_000_000, steps: 8, queue: 32 },
  timeouts: { body: 30_000, queue: 60_000, store: 10_000, firstChunk: 120_000, idle: 60_000, turn: 600_000 },
};

/** What `typeof` must say of an option; where nothing stands, what it says of the default. */
const kinds: Record<string, string> = {
  store: "object",
  client: "object function",
  model: "string function",
  authorize: "function",
  systemPrompt: "string function",
  params: "object function",
  tools: "object",
  showErrors: "boolean",
  generateTitle: "function",
  onTurnEnd: "function",
  waitUntil: "function",
};

/** Checks the options and fills in the defaults. Throws a `TypeError` that names the remedy. */
export function resolveOptions(options: ChatHandlerOptions, given: number): Settings {
  if (given > 1 || !options) misuse("pass one object: createChatHandler({ store, client, model })");
  const { store, client, model, params, tools, generateTitle, concurrency } = options;
  const settings = withDefaults<Defaults>(options, { ...defaults, onError: createErrorLog() }, kinds) as Settings;
  checkStore(store, messageStoreMethods);
  if (!client?.chat?.completions?.create) misuse("client has no chat.completions.create(): pass an OpenAI client");
  if (!model) misuse("model is missing: pass the name of a model");
  for (const name of ["messages", "model", "stream", "tools"]) if (name in Object(params)) misuse(`params.${name} is set by the handler`);
  if (generateTitle) checkStore(store, ["getThread", "renameThread"]);
  if (tools && !tools.run) misuse('make tools with createTools() of "chat-handler/tools"');
  if (concurrency && !/^(queue|reject)$/.test(concurrency)) misuse('concurrency must be "queue" or "reject"');
  return settings;
}
