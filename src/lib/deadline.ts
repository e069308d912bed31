/** Waiting for what may never come. */

/** The promise, or what comes first of it and of a rejection by what `arm` sets up; that is taken down again. The promise itself goes on. */
async function race<T>(promise: PromiseLike<T>, arm: (reject: (reason: unknown) => void) => () => void): Promise<T> {
  let disarm = () => {};
  try {
    return await new Promise<T>((resolve, reject) => {
      promise.then(resolve, reject);
      disarm = arm(reject);
    });
  } finally {
    disarm();
  }
}

/** The promise, or a rejection with the signal's reason as soon as it aborts. */
export const unlessAborted = <T>(signal: AbortSignal, promise: PromiseLike<T>): Promise<T> =>
  race(promise, (reject) => {
    const abort = () => reject(signal.reason);
    if (signal.aborted) abort();
    signal.addEventListener("abort", abort);
    return () => signal.removeEventListener("abort", abort);
  });

/** The promise, or a rejection with `late()` after `ms` milliseconds. */
export const within = <T>(ms: number, promise: PromiseLike<T>, late: () => Error): Promise<T> =>
  race(promise, (reject) => {
    const timer = setTimeout(() => reject(late()), ms);
    return () => clearTimeout(timer);
  });
