/** The order of a thread's messages for everyone who reads it. */
import type { StoredMessage } from "../core/store.ts";

/**
 * Sorts messages so that each turn is contiguous: what answers a prompt follows the prompt, even if it was stored later, when the thread had
 * already continued. A turn without its prompt stays in place. A repeated id counts once.
 */
export function groupByTurn(messages: readonly StoredMessage[]): StoredMessage[] {
  const seen = new Set<string>();
  // A row that somebody else wrote may contain anything.
  const valid = messages.filter((stored) => {
    if (!stored?.message || seen.has(stored.id)) return false;
    seen.add(stored.id);
    return true;
  });
  return [...Map.groupBy(valid, ({ promptId }) => promptId).values()].flat();
}
