/** Calls of code that is not ours: the app's functions and its store. */
import { within } from "./async.ts";
import { asChatHandlerError } from "./errors.ts";
import type { ErrorContext, Settings } from "../chat/options.ts";

/** Runs a function of the app's; what it throws at once is a rejection like any other. */
export const attempt = async <T>(work: () => T | PromiseLike<T>): Promise<T> => work();

/** Tells the app of an error, as one of ours; what its hook does changes nothing. A client that left is none. */
export function report({ onError }: Pick<Settings, "onError">, thrown: unknown, context: ErrorContext): void {
  const error = asChatHandlerError(thrown);
  if (error.code !== "client_gone") void attempt(() => onError(error, context)).catch(() => {});
}

/**
 * The store, guarded: a call of it that throws, rejects or takes longer than `timeout` milliseconds rejects with `store_failed`.
 * Whether a call that took too long happens all the same is unknown.
 */
export function guardStore<S extends object>(store: S, timeout: number): S {
  // Over an empty target: of a frozen store itself, a proxy must show the methods as they are.
  return new Proxy({} as S, {
    get:
      (_, method) =>
      async (...args: unknown[]): Promise<unknown> => {
        const broken = (how: string) => new Error(`The store's ${String(method)}() ${how}.`);
        try {
          const call = attempt(() => (store as Record<PropertyKey, (...args: unknown[]) => unknown>)[method]!(...args));
          const result = await within(timeout, call, () => broken(`took longer than ${timeout} ms`));
          if (/^(list|append)M/.test(String(method)) && !Array.isArray(result)) throw broken("gave no array");
          return result;
        } catch (error) {
          throw asChatHandlerError(error, "store_failed", "The conversation could not be read or stored. Try again.");
        }
      },
  });
}
