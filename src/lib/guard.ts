/** Code that is not ours, the app's functions and its store: each fault becomes one of ours, and none of its words leak. */
import { within } from "./deadline.ts";
import { asChatHandlerError } from "./errors.ts";

/** Runs a function of the app's; what it throws becomes `internal`, unless it is a `ChatHandlerError` already. */
export async function guardApp<T>(work: () => T | PromiseLike<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw asChatHandlerError(error, "internal");
  }
}

/**
 * The same methods; a call that throws, rejects or takes longer than `timeout` milliseconds rejects with `store_failed`. Whether
 * a call that took too long happens all the same is unknown.
 */
export function guardStore<S extends object, M extends keyof S & string>(store: S, methods: readonly M[], timeout: number): Pick<S, M> {
  const guard =
    (method: M) =>
    async (...args: unknown[]) => {
      try {
        const call = (async () => (store[method] as (...args: unknown[]) => unknown)(...args))();
        return await within(timeout, call, () => new Error(`The store's ${method}() took longer than ${timeout} ms.`));
      } catch (error) {
        throw asChatHandlerError(error, "store_failed", "The conversation could not be read or stored. Try again.");
      }
    };
  return Object.fromEntries(methods.map((method) => [method, guard(method)])) as Pick<S, M>;
}
