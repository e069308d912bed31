/** The app's store, bounded: each call has its time, and each fault is one of ours. */
import { within } from "./deadline.ts";
import { asChatHandlerError, ChatHandlerError } from "./errors.ts";

/**
 * The same methods; a call that throws, rejects or takes longer than `timeout` milliseconds rejects with `store_failed`. Whether
 * a call that took too long happened all the same is unknown, so whatever follows must be right in both cases.
 */
export function guardStore<S extends object, M extends keyof S>(store: S, methods: readonly M[], timeout: number): Pick<S, M> {
  const guarded = {} as Pick<S, M>;
  for (const method of methods) {
    const call = async (...args: unknown[]) => {
      try {
        const started = (async () => (store[method] as (...args: unknown[]) => unknown)(...args))();
        return await within(timeout, started, () => new Error(`The store's ${String(method)}() took longer than ${timeout} ms.`));
      } catch (error) {
        throw asChatHandlerError(error, "store_failed", "The conversation could not be read or stored. Try again.");
      }
    };
    guarded[method] = call as S[M];
  }
  return guarded;
}

/** A fault of the app's own code: `work` is an option of the handler. */
export async function guardApp<T>(option: string, work: () => T | PromiseLike<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof ChatHandlerError) throw error;
    throw new ChatHandlerError("internal", "Something went wrong.", { cause: new Error(`\`${option}\` threw.`, { cause: error }) });
  }
}
