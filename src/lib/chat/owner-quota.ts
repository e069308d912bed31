/** How many requests of one owner a handler works on at the same time. */
import { ChatHandlerError } from "../core/errors.ts";

/** A request's place in the quota of its owner. */
export interface QuotaPlace {
  /** Gives the place back. Calling it again does nothing. */
  leave(): void;
}

/** Takes a place. Throws `too_many_turns` if the owner has no place left. */
export type OwnerQuota = (owner: string) => QuotaPlace;

/** Creates a quota of `max` places for each owner. */
export function createOwnerQuota(max: number): OwnerQuota {
  const used = new Map<string, number>();

  return (owner) => {
    const count = (used.get(owner) ?? 0) + 1;
    if (count > max) {
      throw new ChatHandlerError("too_many_turns", `At most ${max} answers can be under way. Try again.`, { retryAfter: "1" });
    }
    used.set(owner, count);
    let isLeft = false;

    function leave(): void {
      if (isLeft) return;
      isLeft = true;
      const rest = used.get(owner)! - 1;
      if (rest > 0) used.set(owner, rest);
      else used.delete(owner);
    }

    return { leave };
  };
}
