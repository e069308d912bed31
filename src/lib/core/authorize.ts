/** Calls the app's `admit` and `authorize`. Fails closed: a mistake in them must not show one user the threads of another. */
import { withTimeout } from "./async.ts";
import type { Authorized } from "./context.ts";

/** Calls `admit`. Returns its refusal, or `undefined` if the request may go on. Rejects if it takes longer than `timeout` milliseconds. */
export async function findRefusal(timeout: number, admit: () => unknown): Promise<Response | undefined> {
  const result = await settle("admit", timeout, admit);
  if (result === undefined || isResponse(result)) return result;
  throw new TypeError("admit must return undefined to let a request in, or a Response to refuse it.");
}

/** Returns the owner that `authorize` returned, or its refusal. Rejects if it takes longer than `timeout` milliseconds. */
export async function findOwner(timeout: number, authorize: () => unknown): Promise<Authorized | Response> {
  const result = await settle("authorize", timeout, authorize);
  if (isResponse(result)) return result;
  const owner = (result as Partial<Authorized> | null | undefined)?.owner;
  if (typeof owner === "string") return { owner };
  throw new TypeError("authorize must return { owner: string } or a Response. To allow anonymous access, pass allowAnyone.");
}

async function settle(name: string, timeout: number, work: () => unknown): Promise<unknown> {
  try {
    const result = work();
    if (!isPromiseLike(result)) return result;
    return await withTimeout(timeout, result, () => new Error(`${name} took longer than ${timeout} ms.`));
  } catch (thrown) {
    // Remix and React Router throw their responses.
    if (isResponse(thrown)) return thrown;
    throw thrown;
  }
}

function isPromiseLike(value: unknown): value is PromiseLike<unknown> {
  return typeof (value as { then?: unknown } | null | undefined)?.then === "function";
}

/** Not `instanceof`: `@hono/node-server` replaces the global `Response`, and that of `fetch` is another class. */
function isResponse(value: unknown): value is Response {
  return Object.prototype.toString.call(value) === "[object Response]";
}

/**
 * An `authorize` that lets everyone in: every thread belongs to owner `""`. For demos, and for apps with one user. Everyone who knows a thread id can read
 * and continue that thread.
 */
export function allowAnyone(): Authorized {
  return { owner: "" };
}
