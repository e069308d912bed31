/** What an app may say to `createThreadHandler`, the defaults, and what is refused at construction. */
import type { ChatHandlerError } from "../core/errors.ts";
import { createErrorLog } from "../core/log-error.ts";
import { type Authorized, defaults as chatDefaults, type ErrorContext, type Limits, type SomeOf, type Timeouts } from "../chat/options.ts";
import { checkStore, misuse, withDefaults } from "../core/options-check.ts";
import { messageStoreMethods, type ThreadStore, threadStoreMethods } from "../core/store.ts";

/** What a request for threads asks for, before it is known who asks. */
export interface ThreadRequestContext {
  /** The request; its body, where it has one, is read already. */
  request: Request;
  /** The thread it names; none where it lists the threads or makes one. */
  threadId?: string | undefined;
}

/** What a thread handler bounds. */
export interface ThreadLimits extends Pick<Limits, "bodyBytes" | "promptCharacters" | "idCharacters"> {
  /** The form state of an answer, in characters → 400. It goes to the model with the answer. @default 20000 */
  formCharacters: number;
  /** How many messages of a thread are read to show it: of a longer one, its newest, begun at a whole turn. @default 10000 */
  messages: number;
}

/** How long a thread handler waits, in milliseconds. At most 2147483647. */
export type ThreadTimeouts = Pick<Timeouts, "body" | "store">;

/** Options of `createThreadHandler`. */
export interface ThreadHandlerOptions {
  /** Keeps the threads: the store of the chat handler. */
  store: ThreadStore;
  /**
   * Says who asks. Return the owner of the threads. To refuse, return or throw a `Response`, or throw a `ChatHandlerError`
   * (`unauthorized`, `forbidden`, `not_found`, `rate_limited`). Anything else, a missing owner among it, refuses with 500. Runs
   * before the store is read or written. One function can serve this handler and the chat handler: `({ request }) => …`.
   */
  authorize: (context: ThreadRequestContext) => Authorized | Response | Promise<Authorized | Response>;
  /**
   * The path the handler is mounted at, without a slash at its end. Needed only where that path itself has a segment `get`,
   * `update` or `delete`.
   *
   * @default what stands before the first segment that names a route
   */
  basePath?: string | undefined;
  /** How many threads one page of the list holds. @default 50 */
  pageSize?: number | undefined;
  /** Bounds. */
  limits?: SomeOf<ThreadLimits> | undefined;
  /** Waits. */
  timeouts?: SomeOf<ThreadTimeouts> | undefined;
  /**
   * Gets every error whole, with its `cause`, but for a client that left. What it throws is ignored.
   *
   * @default `console.error` for statuses of 429, 500 and above
   */
  onError?: ((error: ChatHandlerError, context: ErrorContext) => unknown) | undefined;
  /** Makes the ids of threads. @default `crypto.randomUUID` */
  generateId?: (() => string) | undefined;
  /** The clock behind the `createdAt` of messages, in epoch milliseconds. @default `Date.now` */
  now?: (() => number) | undefined;
}

/** Options with every default in place. */
export interface ThreadSettings extends Pick<ThreadHandlerOptions, "store" | "authorize"> {
  basePath: string | undefined;
  pageSize: number;
  limits: ThreadLimits;
  timeouts: ThreadTimeouts;
  onError: NonNullable<ThreadHandlerOptions["onError"]>;
  generateId: () => string;
  now: () => number;
}

const { generateId, now, limits, timeouts } = chatDefaults;
const { bodyBytes, promptCharacters, idCharacters } = limits;

const defaults = {
  generateId,
  now,
  pageSize: 50,
  limits: { bodyBytes, promptCharacters, idCharacters, formCharacters: 20_000, messages: 10_000 },
  timeouts: { body: timeouts.body, store: timeouts.store },
};

const kinds = { store: "object", authorize: "function", basePath: "string" };

/** Checks the options and fills in the defaults. Throws a `TypeError` that names the remedy. */
export function resolveThreadOptions(options: ThreadHandlerOptions, given: number): ThreadSettings {
  if (given > 1 || !options) misuse("pass one object: createThreadHandler({ store, authorize })");
  const settings = withDefaults(options, { ...defaults, onError: createErrorLog() } as typeof defaults, kinds) as ThreadSettings;
  const { store, authorize, basePath, pageSize } = settings;
  checkStore(store, [...messageStoreMethods, ...threadStoreMethods]);
  if (!authorize)
    misuse("authorize is missing: say whose threads a request may see, or pass allowAnyone where everybody may see all of them");
  if (basePath !== undefined && !/^(\/[^?#]*[^/?#])?$/.test(basePath))
    misuse('basePath must be a path without a slash at its end, for example "/api/threads"');
  if (pageSize < 1) misuse("pageSize must be a whole number from 1");
  return settings;
}
