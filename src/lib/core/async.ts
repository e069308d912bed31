/** Helpers for promises that may reject, throw at once, or never settle. */

/** Calls a function and returns its result as a promise: an error that it throws becomes a rejection. */
export function callSafely<T>(work: () => T | PromiseLike<T>): Promise<T> {
  try {
    // The promise of the work itself: an async function would wrap it in a second one.
    return Promise.resolve(work());
  } catch (error) {
    return Promise.reject(error);
  }
}

/** Settles like `promise`, or rejects with the signal's reason when the signal aborts first. The work behind `promise` goes on. */
export async function raceAbort<T>(signal: AbortSignal, promise: PromiseLike<T>): Promise<T> {
  const aborted = Promise.withResolvers<never>();
  const onAbort = () => aborted.reject(signal.reason);
  if (signal.aborted) onAbort();
  signal.addEventListener("abort", onAbort);
  try {
    return await Promise.race([promise, aborted.promise]);
  } finally {
    signal.removeEventListener("abort", onAbort);
  }
}

/** Settles like `promise`, or resolves to `fallback` after `ms` milliseconds. The work behind `promise` goes on. */
export async function settleWithin<T>(ms: number, promise: PromiseLike<T>, fallback: T): Promise<T> {
  const expired = Promise.withResolvers<T>();
  const timer = setTimeout(() => expired.resolve(fallback), ms);
  try {
    return await Promise.race([promise, expired.promise]);
  } finally {
    clearTimeout(timer);
  }
}

/** Settles like `promise`, or rejects with `createError()` after `ms` milliseconds. The work behind `promise` goes on. */
export function withTimeout<T>(ms: number, promise: PromiseLike<T>, createError: () => Error): Promise<T> {
  // One promise, where `Promise.race` in an async function makes six: an instance can have a call of each open stream under way.
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(createError()), ms);
    promise.then(
      (value) => {
        clearTimeout(timer);
        resolve(value);
      },
      (error: unknown) => {
        clearTimeout(timer);
        reject(error);
      },
    );
  });
}
