/** Names of the keys and channels of a thread. */
import type { CoordinatorHint } from "../../core/coordinator.ts";
import { keyOf, type ThreadKey } from "../../core/store.ts";
import { hash128 } from "../sha256.ts";

/** The names of a thread. */
export interface ThreadNames {
  /** Of owner and thread id. All names contain it, so they are short, and nobody finds an id that leads to the thread of another owner. */
  readonly digest: string;
  /** The keys `thread`, `queue`, `followers` and `stops`: see lua.ts. */
  readonly keys: readonly string[];
  /** The channel of each type of hint. */
  readonly channels: Readonly<Record<CoordinatorHint["type"], string>>;
  /** Returns the key of an attempt's log. */
  logOf(attempt: string): string;
}

/** How many digests are remembered. Most calls are about the few threads that run, and each turn needs its names five times. */
const maxDigests = 1000;

/**
 * Returns a function that names threads.
 *
 * Hints of threads have 64 channels in all, so a busy instance listens to each and need not subscribe for a turn. Such hints are few, and an instance ignores
 * those of other threads. Logs are pushed with every piece, each on a channel of its own.
 *
 * @param sharded - Whether a channel must be in the slot of its thread. Then each thread has its own.
 */
export function createThreadNames(prefix: string, sharded: boolean): (thread: ThreadKey) => ThreadNames {
  const digests = new Map<string, string>();

  function digestOf(thread: ThreadKey): string {
    const key = keyOf(thread);
    const known = digests.get(key);
    if (known !== undefined) return known;
    const digest = hash128(key);
    digests.set(key, digest);
    for (const oldest of digests.keys()) {
      if (digests.size <= maxDigests) break;
      digests.delete(oldest);
    }
    return digest;
  }

  return (thread) => {
    const digest = digestOf(thread);
    // The braces mark what decides the slot of a cluster.
    const base = `${prefix}{${digest}}:`;
    return {
      digest,
      keys: ["thread", "queue", "followers", "stops"].map((name) => base + name),
      channels: { thread: sharded ? `${base}on:thread` : `${prefix}on:${digest[0]}`, log: `${base}on:log` },
      logOf: (attempt) => `${base}log:${attempt}`,
    };
  };
}
