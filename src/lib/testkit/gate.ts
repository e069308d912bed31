/** Brings calls to the same moment, so that a store that is not atomic shows it. */

/** Lets other work of the event loop go on: a store may need more than microtasks. As short as the runtime allows. */
export const pause = (): Promise<void> =>
  new Promise((resolve) => void (typeof setImmediate === "function" ? setImmediate(resolve) : setTimeout(resolve)));

/** Starts all calls at one moment, and waits for every one of them even when one rejects. */
export async function atOnce<T>(calls: readonly (() => Promise<T>)[]): Promise<T[]> {
  let open = (): void => {};
  const gate = new Promise<void>((resolve) => (open = resolve));
  const running = calls.map(async (call) => {
    await gate;
    return call();
  });
  open();
  const settled = await Promise.allSettled(running);
  return settled.map((outcome) => {
    if (outcome.status === "rejected") throw outcome.reason;
    return outcome.value;
  });
}

/** The call, begun so many turns of the microtask queue later: it meets the others at another point of their way. */
export function later<T>(turns: number, call: () => Promise<T>): () => Promise<T> {
  return async () => {
    for (let turn = 0; turn < turns; turn++) await Promise.resolve();
    return call();
  };
}

/** By how many turns one call is begun after the other: each meets the other at another point of its way. */
export const offsets: readonly number[] = [0, 1, 2, 3, 5, 8];

/** Lets two calls meet at each offset, either one first. `round` makes a thread for each meeting. */
export async function meetings(round: (thread: string, first: number, second: number) => Promise<void>): Promise<void> {
  for (const offset of offsets) {
    await round(`first by ${offset}`, 0, offset);
    if (offset > 0) await round(`second by ${offset}`, offset, 0);
  }
}
