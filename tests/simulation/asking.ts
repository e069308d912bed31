/** Who is behind what a handler does: the request that a turn began with, by its number. */
import { AsyncLocalStorage } from "node:async_hooks";

const current = new AsyncLocalStorage<number>();

/** Handles a request under its number. */
export const underNumber = <T>(number: number, handle: () => T): T => current.run(number, handle);

/** The number of the request whose turn is at work. */
export function atWork(): number {
  const number = current.getStore();
  if (number === undefined) throw new Error("No request is at work.");
  return number;
}
