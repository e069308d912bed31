/** The options of `createThreadHandler`, their defaults, and the checks at construction. */
import type { AdmitContext, AdmitResult, Authorized, ErrorContext } from "../core/context.ts";
import type { ChatHandlerError } from "../core/errors.ts";
import { guardThreadStore } from "./guard-thread-store.ts";
import { defaultLimits, defaultTimeouts, type Limits, type PartialOptions, type Timeouts } from "../core/limits.ts";
import { createErrorLog } from "../core/log-error.ts";
import { checkPromptParts, promptPartTypes, type PromptPartType } from "../core/prompt.ts";
import { checkStoreMethods, type OptionTypes, resolveOptions } from "../core/resolve-options.ts";
import { messageStoreMethods, type ThreadStore, threadStoreMethods } from "../core/store.ts";
import { throwUsageError } from "../core/usage-error.ts";

/** A request for threads, before its user is known. */
export interface ThreadRequestContext {
  /** The request. Its body, if any, has been read. */
  request: Request;
  /** The thread it names. Absent when it lists the threads or creates one. */
  threadId?: string | undefined;
}

/** Bounds of a thread handler. */
export interface ThreadLimits extends Pick<Limits, "bodyBytes" | "promptCharacters" | "parts" | "idCharacters"> {
  /** The form state of an answer, in characters → 400. It goes to the model with the answer. @default 20000 */
  formCharacters: number;
  /** Most messages that are read to show a thread. Of a longer thread, its newest turns are shown. @default 10000 */
  messages: number;
  /** Text of a shown thread in characters. Of a longer thread, its newest turns are shown, at least one message. @default 5000000 */
  characters: number;
}

/** How long a thread handler waits, in milliseconds. Each at most 2147483647. */
export type ThreadTimeouts = Pick<Timeouts, "authorize" | "body" | "store">;

/** Options of `createThreadHandler`. */
export interface ThreadHandlerOptions {
  /** Stores the threads: the store of the chat handler. */
  store: ThreadStore;
  /**
   * Runs before the body of a request is read, as in the chat handler: return `undefined` to let the request in, or a `Response` to refuse it.
   *
   * @default every request is let in
   */
  admit?: ((context: AdmitContext) => AdmitResult | Promise<AdmitResult>) | undefined;
  /**
   * Finds the owner of the threads that a request may see. To refuse, return or throw a `Response`, or throw a `ChatHandlerError`
   * (`unauthorized`, `forbidden`, `not_found`, `rate_limited`). Any other result, `undefined` included, is refused with 500. Runs before the store
   * is read or written. One function can serve this handler and the chat handler: `({ request }) => …`.
   */
  authorize: (context: ThreadRequestContext) => Authorized | Response | Promise<Authorized | Response>;
  /**
   * The path at which the handler is mounted, without a trailing slash. Only needed if the path itself has a segment `get`, `update` or
   * `delete`.
   *
   * @default what comes before the first segment that names a route
   */
  basePath?: string | undefined;
  /** Threads on one page of the list. @default 50 */
  pageSize?: number | undefined;
  /**
   * The kinds of content parts that a first message may have, as in the chat handler.
   *
   * @default all: `text`, `image_url`, `input_audio` and `file`
   */
  promptParts?: readonly PromptPartType[] | undefined;
  /** Bounds. */
  limits?: PartialOptions<ThreadLimits> | undefined;
  /** How long the handler waits. */
  timeouts?: PartialOptions<ThreadTimeouts> | undefined;
  /**
   * Receives every error with its `cause`. Client disconnects are not reported. What it throws is ignored.
   *
   * @default `console.error` for `rate_limited` and the statuses of 500 and above, and once for `body_already_read`
   */
  onError?: ((error: ChatHandlerError, context: ErrorContext) => unknown) | undefined;
  /** Creates the ids of threads. @default `crypto.randomUUID` */
  generateId?: (() => string) | undefined;
  /** The clock of `createdAt`, in epoch milliseconds. @default `Date.now` */
  now?: (() => number) | undefined;
}

/** The options with every default in place. The store is guarded: its calls end within `timeouts.store`. */
export interface ThreadSettings {
  store: ThreadStore;
  admit?: ThreadHandlerOptions["admit"];
  authorize: ThreadHandlerOptions["authorize"];
  basePath?: string | undefined;
  pageSize: number;
  promptParts: readonly PromptPartType[];
  limits: ThreadLimits;
  timeouts: ThreadTimeouts;
  onError: (error: ChatHandlerError, context: ErrorContext) => unknown;
  generateId: () => string;
  now: () => number;
}

const { bodyBytes, promptCharacters, parts, idCharacters } = defaultLimits;
const { authorize, body, store } = defaultTimeouts;

const defaults = {
  generateId: () => crypto.randomUUID(),
  now: Date.now,
  pageSize: 50,
  promptParts: promptPartTypes,
  limits: { bodyBytes, promptCharacters, parts, idCharacters, formCharacters: 20_000, messages: 10_000, characters: 5_000_000 },
  timeouts: { authorize, body, store },
} as const satisfies Partial<ThreadHandlerOptions>;

const optionTypes: OptionTypes = {
  promptParts: ["object"],
  store: ["object"],
  admit: ["function"],
  authorize: ["function"],
  basePath: ["string"],
};

/** Checks the options and fills in the defaults. Throws a `TypeError` that names the fix. */
export function resolveThreadOptions(options: ThreadHandlerOptions): ThreadSettings {
  if (!options || "listMessages" in options) {
    throwUsageError("Pass one object with the options: `createThreadHandler({ store, authorize })`.");
  }
  const settings = resolveOptions<object>(options, { ...defaults, onError: createErrorLog() }, optionTypes) as ThreadSettings;
  const { store, authorize, basePath, pageSize, promptParts, timeouts } = settings;
  checkStoreMethods(store, [...messageStoreMethods, ...threadStoreMethods]);
  if (!authorize) {
    throwUsageError("authorize is missing. Return the owner of the threads, or pass allowAnyone to show all threads to everyone.");
  }
  if (basePath !== undefined && !/^(\/[^?#]*[^/?#])?$/.test(basePath)) {
    throwUsageError('basePath must be a path without a trailing slash, for example "/api/threads".');
  }
  checkPromptParts(promptParts);
  if (pageSize < 1) throwUsageError("pageSize must be a whole number from 1.");
  return { ...settings, store: guardThreadStore(store, timeouts.store) };
}
