/** The options of `createChatHandler`, their defaults, and the checks at construction. */
import { localRegistryOf } from "../coordination/local.ts";
import { allowAnyone } from "../core/authorize.ts";
import type { AdmitContext, AdmitResult, Authorized, ErrorContext, RequestContext, TurnContext } from "../core/context.ts";
import type { SharedCoordinator, TurnRegistry } from "../core/turn-registry.ts";
import type { ChatHandlerError } from "../core/errors.ts";
import { guardMessageStore, guardTitleStore } from "../core/guard-store.ts";
import { defaultLimits, defaultTimeouts, type Limits, type PartialOptions, type Timeouts } from "../core/limits.ts";
import type { ModelClient } from "../core/model-client.ts";
import { createErrorLog } from "../core/log-error.ts";
import { checkPromptParts, promptPartTypes, type PromptPartType } from "../core/prompt.ts";
import { checkStoreMethods, type OptionTypes, resolveOptions } from "../core/resolve-options.ts";
import { type MessageStore, messageStoreMethods, type ThreadStore } from "../core/store.ts";
import type { ToolRunner } from "../core/tool-runner.ts";
import { throwUsageError } from "../core/usage-error.ts";
import type { DisconnectPolicy, HistoryOptions, ModelParams, TitleContext, TurnEndEvent, TurnSettings } from "../turn/settings.ts";
import { createOwnerQuota, type OwnerQuota } from "./owner-quota.ts";
import { createUnreadAnswers, type UnreadAnswers } from "./unread-answers.ts";

/** What `authorize` may return: the owner, or a refusal. */
export type AuthorizeResult = Authorized | Response;

/** Options of `createChatHandler`. */
export interface ChatHandlerOptions {
  /** Stores the threads. */
  store: MessageStore;
  /** An `OpenAI` client, or any object with its `chat.completions.create`. */
  client: ModelClient;
  /** The name of the model, or a function that returns it for each turn. */
  model: string | ((context: TurnContext) => string | Promise<string>);
  /**
   * Runs before the body of a request is read: refuses by address, header or cookie what should cost nothing. Return `undefined` to let the
   * request in. To refuse, return or throw a `Response`, or throw a `ChatHandlerError`. Any other result is refused with 500. It must not
   * read the body.
   *
   * @default every request is let in
   */
  admit?: ((context: AdmitContext) => AdmitResult | Promise<AdmitResult>) | undefined;
  /**
   * Finds the owner of the threads that a request may see. To refuse, return or throw a `Response`, or throw a `ChatHandlerError`
   * (`unauthorized`, `forbidden`, `not_found`, `rate_limited`). Any other result, `undefined` included, is refused with 500. Runs before the store
   * is read or written. It may read cookies and headers; the body has been read.
   *
   * @default `allowAnyone`: every thread belongs to owner `""`, and everyone who knows a thread id can read and continue that thread
   */
  authorize?: ((context: RequestContext) => AuthorizeResult | Promise<AuthorizeResult>) | undefined;
  /** Sent to the model first. Never stored, and never sent to the browser. @default none */
  systemPrompt?: string | ((context: TurnContext) => string | Promise<string>) | undefined;
  /** Further parameters of the model call, or a function that returns them for each turn. @default none */
  params?: ModelParams | ((context: TurnContext) => ModelParams | Promise<ModelParams>) | undefined;
  /** Tools that the model may call, from `createTools` of `chat-handler/tools`. Calls and results are stored with the answer. @default none */
  tools?: ToolRunner | undefined;
  /** How much of the thread goes to the model. */
  history?: PartialOptions<HistoryOptions> | undefined;
  /**
   * The kinds of content parts that a prompt may have; a prompt that is plain text always may be sent. Your provider fetches the addresses of
   * images, so leave out `image_url` for a model server in your own network.
   *
   * @default all: `text`, `image_url`, `input_audio` and `file`
   */
  promptParts?: readonly PromptPartType[] | undefined;
  /**
   * What a prompt does while another turn runs on its thread: wait in order (`"queue"`), fail with 409 (`"reject"`), or stop the turns ahead, keep
   * what they have, and go on (`"interrupt"`).
   *
   * @default "queue"
   */
  concurrency?: "queue" | "reject" | "interrupt" | undefined;
  /**
   * What happens to a turn when its last reader has disconnected: stop the model at once and store the partial answer (`"stop"`); do so unless
   * somebody reads it again within `graceMs` milliseconds (`{ graceMs }`); or finish and store the answer (`"continue"`). A page that reloads
   * comes back through `resume`, so it needs one of the last two.
   *
   * @default "stop"
   */
  disconnect?: DisconnectPolicy | undefined;
  /**
   * Shares turns between instances: `createRedisCoordinator` of `chat-handler/redis`, or `createPostgresCoordinator` of
   * `chat-handler/postgres`.
   *
   * @default none: order, joins, `resume` and `stop` reach the turns of one process, for each store object
   */
  coordinator?: SharedCoordinator | undefined;
  /** Bounds. */
  limits?: PartialOptions<Limits> | undefined;
  /** How long the handler waits. */
  timeouts?: PartialOptions<Timeouts> | undefined;
  /**
   * Milliseconds between two writes to the client. The first text is sent at once. `0` sends every network read of the model by itself. Over sockets,
   * writes are most of a turn's cost.
   *
   * @default what the client's protocol needs: 80 for C1Chat, which drops the drawing of faster chunks
   */
  flushInterval?: number | undefined;
  /**
   * Answers a failure before the first byte with status 200 and a C1 card that explains it, because C1Chat shows nothing on an
   * error status. The card is never stored and never replayed. The header `X-Chat-Handler-Error` has the code.
   *
   * @default false
   */
  showErrors?: boolean | undefined;
  /**
   * Generates the title of a new thread. It may call a model: the turn does not wait for it. Runs at the first text of the answer. `signal`
   * aborts when the turn is aborted. Needs a store with threads. A title that was changed meanwhile stays.
   *
   * @default the plain text of the first prompt, at most 80 characters
   */
  generateTitle?: ((context: TitleContext) => string | Promise<string>) | undefined;
  /** Called once for each turn that stored its prompt, after its answer is stored. What it throws goes to `onError`. */
  onTurnEnd?: ((turn: TurnEndEvent) => unknown) | undefined;
  /**
   * Receives every error with its `cause`. Client disconnects are not reported. What it throws is ignored.
   *
   * @default `console.error` for `rate_limited` and the statuses of 500 and above, and once for `body_already_read`
   */
  onError?: ((error: ChatHandlerError, context: ErrorContext) => unknown) | undefined;
  /**
   * Keeps a serverless instance alive until the promise settles. It resolves when the turn is stored, and never rejects. Pass `waitUntil` of
   * `@vercel/functions` or `cloudflare:workers`.
   */
  waitUntil?: ((promise: Promise<void>) => unknown) | undefined;
  /** Creates the ids of tool calls and results, a new one at each call. @default `crypto.randomUUID` */
  generateId?: (() => string) | undefined;
  /** The clock of `createdAt`, in epoch milliseconds. @default `Date.now` */
  now?: (() => number) | undefined;
}

/** The options with every default in place. */
export interface ChatSettings extends TurnSettings {
  authorize: (context: RequestContext) => AuthorizeResult | Promise<AuthorizeResult>;
  admit?: ((context: AdmitContext) => AdmitResult | Promise<AdmitResult>) | undefined;
  coordinator?: SharedCoordinator | undefined;
  registry: TurnRegistry;
  promptParts: readonly PromptPartType[];
  quota: OwnerQuota;
  unreadAnswers: UnreadAnswers;
  concurrency: "queue" | "reject" | "interrupt";
  flushInterval?: number | undefined;
  showErrors: boolean;
  waitUntil?: ((promise: Promise<void>) => unknown) | undefined;
}

/** The options with a default. */
type DefaultName =
  | "authorize"
  | "promptParts"
  | "params"
  | "concurrency"
  | "disconnect"
  | "showErrors"
  | "generateId"
  | "now"
  | "history"
  | "limits"
  | "timeouts";

/** The default of each option that has one. */
const defaults: { [Name in DefaultName]: NonNullable<ChatHandlerOptions[Name]> } = {
  authorize: allowAnyone,
  promptParts: promptPartTypes,
  params: {},
  concurrency: "queue",
  disconnect: "stop",
  showErrors: false,
  generateId: () => crypto.randomUUID(),
  now: Date.now,
  history: { maxMessages: 100, maxCharacters: 1_000_000 },
  limits: defaultLimits,
  timeouts: defaultTimeouts,
};

/** The types of the options without a default, and of those with more than one type. */
const optionTypes: OptionTypes = {
  admit: ["function"],
  promptParts: ["object"],
  store: ["object"],
  coordinator: ["object"],
  disconnect: ["string", "object"],
  client: ["object", "function"],
  model: ["string", "function"],
  systemPrompt: ["string", "function"],
  params: ["object", "function"],
  tools: ["object"],
  flushInterval: ["number"],
  generateTitle: ["function"],
  onTurnEnd: ["function"],
  waitUntil: ["function"],
};

/** Parameters of the model call that the handler sets. */
const ownParams = ["messages", "model", "stream", "tools"] as const;

/** Checks the options and fills in the defaults. Throws a `TypeError` that names the fix. */
export function resolveChatOptions(options: ChatHandlerOptions): ChatSettings {
  if (!options || "listMessages" in options) {
    throwUsageError("Pass one object with the options: `createChatHandler({ store, client, model })`.");
  }
  const settings = resolveOptions<object>(options, { ...defaults, onError: createErrorLog() }, optionTypes) as Omit<
    ChatSettings,
    "registry" | "titleStore" | "quota"
  >;
  const { store, client, model, params, tools, promptParts, generateTitle, concurrency, disconnect, coordinator, timeouts } = settings;
  checkStoreMethods(store, messageStoreMethods);
  if (typeof client?.chat?.completions?.create !== "function") {
    throwUsageError("client has no chat.completions.create(). Pass an OpenAI client.");
  }
  if (!model) throwUsageError("model is missing. Pass the name of a model.");
  for (const name of ownParams) {
    if (name in params) throwUsageError(`params.${name} is set by the handler. Remove it.`);
  }
  checkPromptParts(promptParts);
  if (generateTitle) checkStoreMethods(store, ["getThread", "renameThread"]);
  if (tools && typeof tools.draftStep !== "function") throwUsageError('tools must come from createTools() of "chat-handler/tools".');
  checkPolicies(concurrency, disconnect);
  if (coordinator && typeof coordinator.registry?.enter !== "function") {
    throwUsageError("coordinator must come from createRedisCoordinator(), createPostgresCoordinator() or shareTurns().");
  }
  return {
    ...settings,
    registry: coordinator?.registry ?? localRegistryOf(store),
    quota: createOwnerQuota(settings.limits.turnsPerOwner),
    unreadAnswers: createUnreadAnswers(settings.limits.unreadCharacters),
    store: guardMessageStore(store, timeouts.store),
    titleStore: generateTitle ? guardTitleStore(store as ThreadStore, timeouts.store) : undefined,
  };
}

function checkPolicies(concurrency: unknown, disconnect: ChatSettings["disconnect"]): void {
  if (concurrency !== "queue" && concurrency !== "reject" && concurrency !== "interrupt") {
    throwUsageError('concurrency must be "queue", "reject" or "interrupt".');
  }
  if (disconnect === "stop" || disconnect === "continue") return;
  const { graceMs } = Object(disconnect) as { graceMs?: unknown };
  if (Number.isInteger(graceMs) && (graceMs as number) >= 0 && (graceMs as number) <= 3_600_000) return;
  throwUsageError('disconnect must be "stop", "continue" or { graceMs }, a whole number of milliseconds up to 3600000.');
}
