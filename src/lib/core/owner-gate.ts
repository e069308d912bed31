/** Bounds how much of one kind of work an owner causes at the same time. */
import { withTimeout } from "./async.ts";

/** Runs the works of one owner, a few at a time. Owners do not wait for each other. */
export type OwnerGate = <T>(owner: string, work: () => Promise<T>) => Promise<T>;

interface Queue {
  free: number;
  /** Functions that start the works that wait, oldest first. */
  waiting: Set<() => void>;
}

/**
 * Creates a gate for `max` works of one owner at a time. A work that waits longer than `timeout` milliseconds never starts, and rejects with
 * `createError()`.
 */
export function createOwnerGate(max: number, timeout: number, createError: () => Error): OwnerGate {
  const queues = new Map<string, Queue>();

  function release(owner: string, queue: Queue): void {
    const [next] = queue.waiting;
    if (next) {
      queue.waiting.delete(next);
      next();
    } else if (++queue.free === max) {
      queues.delete(owner);
    }
  }

  async function wait(owner: string, queue: Queue): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    queue.waiting.add(resolve);
    try {
      await withTimeout(timeout, promise, createError);
    } catch (error) {
      // It may have been its turn at the same moment.
      if (!queue.waiting.delete(resolve)) release(owner, queue);
      throw error;
    }
  }

  return async (owner, work) => {
    const queue = queues.get(owner) ?? { free: max, waiting: new Set() };
    queues.set(owner, queue);
    if (queue.free > 0) queue.free--;
    else await wait(owner, queue);
    try {
      return await work();
    } finally {
      release(owner, queue);
    }
  };
}
