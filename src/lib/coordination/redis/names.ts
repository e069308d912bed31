/** Names of the keys and channels of a thread. */
import { sha256 } from "../../core/sha256.ts";
import { keyOf, type ThreadKey } from "../../core/store.ts";

/** The names of one thread. They share a hash tag, so all are in one slot of a cluster. */
export interface ThreadNames {
  /** `thread`, `queue`, `followers`, `stops`: see lua.ts. */
  readonly keys: readonly string[];
  /** The beginning of the channels, which end with `thread` and `log`. */
  readonly channel: string;
  /** The beginning of the keys of the logs, which end with the attempt. */
  readonly logs: string;
}

/** How many threads are remembered. Most calls are about the few threads that run, and a hash costs more than the call. */
const maxRemembered = 1000;

/**
 * Returns a function that names the keys of a thread. They contain a digest of owner and thread id, so they are short, and they are the same for no
 * two threads.
 */
export function createThreadNames(prefix: string): (thread: ThreadKey) => Promise<ThreadNames> {
  const remembered = new Map<string, ThreadNames>();
  return async (thread) => {
    const key = keyOf(thread);
    const known = remembered.get(key);
    if (known) return known;
    // 128 bits: nobody finds an id that leads to the thread of another owner.
    const base = `${prefix}{${(await sha256(key)).slice(0, 32)}}:`;
    const names = {
      keys: ["thread", "queue", "followers", "stops"].map((name) => base + name),
      channel: `${base}on:`,
      logs: `${base}log:`,
    };
    remembered.set(key, names);
    for (const oldest of remembered.keys()) {
      if (remembered.size <= maxRemembered) break;
      remembered.delete(oldest);
    }
    return names;
  };
}
