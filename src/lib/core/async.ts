/** Waiting for what may never come. */

/** The promise, or a rejection with the signal's reason as soon as it aborts. The promise itself goes on. */
export async function unlessAborted<T>(signal: AbortSignal, promise: PromiseLike<T>): Promise<T> {
  let abort = () => {};
  try {
    return await new Promise<T>((resolve, reject) => {
      abort = () => reject(signal.reason as Error);
      if (signal.aborted) abort();
      signal.addEventListener("abort", abort);
      promise.then(resolve, reject);
    });
  } finally {
    signal.removeEventListener("abort", abort);
  }
}

/** The promise, or a rejection with `late()` after `ms` milliseconds. The promise itself goes on. */
export async function within<T>(ms: number, promise: PromiseLike<T>, late: () => Error): Promise<T> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  try {
    return await new Promise<T>((resolve, reject) => {
      timer = setTimeout(() => reject(late()), ms);
      promise.then(resolve, reject);
    });
  } finally {
    clearTimeout(timer);
  }
}
