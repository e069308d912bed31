/** Calls of a coordinator that always settle. */
import { callSafely, withTimeout } from "../../core/async.ts";
import type { Coordinator, CoordinatorEntrance, CoordinatorSettings, Follower, TicketRequest } from "../../core/coordinator.ts";

/** Makes a call. Rejects if it takes so long that a lease could end meanwhile. */
export type Call = <T>(work: () => Promise<T>) => Promise<T>;

/** Creates the calls of a coordinator. */
export function createCall({ leaseMs }: CoordinatorSettings): Call {
  const timeout = Math.min(2000, leaseMs / 4);
  const createError = (): Error => new Error(`The coordinator did not answer within ${timeout} ms.`);
  return (work) => withTimeout(timeout, callSafely(work), createError);
}

/**
 * Gives back an entry that arrives after its caller gave up. It tries once, and an entry whose reply is lost is not given back at all: nobody renews it,
 * so the thread is free when its lease ends, and those who joined it enter again. A follower counts for `followMs`.
 */
export function giveBack(coordinator: Coordinator, sent: Promise<CoordinatorEntrance>, request: TicketRequest, follower: Follower): void {
  sent
    .then(async (entrance) => {
      if (entrance.kind === "entered") await coordinator.end(entrance.ticket, 0, "");
      if (entrance.kind === "joined") await coordinator.unfollow({ ...request, attempt: entrance.attempt }, follower);
    })
    .catch(() => {});
}
