/** Tracks which request a turn started with, by its number. */
import { AsyncLocalStorage } from "node:async_hooks";

const current = new AsyncLocalStorage<number>();

/** Runs a function as part of a request. */
export const runAsRequest = <T>(number: number, handle: () => T): T => current.run(number, handle);

/** Returns the number of the current request. */
export function currentRequest(): number {
  const number = current.getStore();
  if (number === undefined) throw new Error("No request is at work.");
  return number;
}
