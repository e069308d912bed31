/** How many requests of one owner a handler works on at the same time. */
import { ChatHandlerError } from "../core/errors.ts";

/** Gives a place back. Calling it again does nothing. */
export type LeaveQuota = () => void;

/** Takes a place for a request. Throws `too_many_turns` if the owner has no place left. */
export type OwnerQuota = (owner: string) => LeaveQuota;

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

    return () => {
      if (isLeft) return;
      isLeft = true;
      const rest = used.get(owner)! - 1;
      if (rest > 0) used.set(owner, rest);
      else used.delete(owner);
    };
  };
}
