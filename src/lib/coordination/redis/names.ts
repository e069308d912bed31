/** Names of the keys and channels of a thread. */
import { hash128 } from "../../core/sha256.ts";
import { keyOf, type ThreadKey } from "../../core/store.ts";

/** How many threads are remembered. Most calls are about the few threads that run, and a hash costs more than the call. */
const maxRemembered = 1000;

/**
 * Returns a function that returns the beginning of all names of a thread. It contains a digest of owner and thread id, so it is short, and it is the same
 * for no two threads. Only this beginning is remembered: joining it with the rest is cheap, and all names of 1000 threads would take half a megabyte.
 */
export function createThreadNames(prefix: string): (thread: ThreadKey) => Promise<string> {
  const remembered = new Map<string, string>();
  return async (thread) => {
    const key = keyOf(thread);
    const known = remembered.get(key);
    if (known !== undefined) return known;
    // Nobody finds an id that leads to the thread of another owner. The braces mark what decides the slot of a cluster. A join makes one
    // string; a template would keep its parts.
    const base = [prefix, "{", await hash128(key), "}:"].join("");
    remembered.set(key, base);
    for (const oldest of remembered.keys()) {
      if (remembered.size <= maxRemembered) break;
      remembered.delete(oldest);
    }
    return base;
  };
}

/** The keys `thread`, `queue`, `followers` and `stops`: see lua.ts. */
export const keysOf = (base: string): string[] => [`${base}thread`, `${base}queue`, `${base}followers`, `${base}stops`];

/** The beginning of the channels, which end with `thread` and `log`. */
export const channelOf = (base: string): string => `${base}on:`;

/** The key of an attempt's log. */
export const logOf = (base: string, attempt: string): string => `${base}log:${attempt}`;
