/** Turns for the tests of coordinators. */
import { randomUUID } from "node:crypto";
import { vi } from "vitest";
import type { Coordinator, EntryPolicy, Ticket, TicketRequest } from "../../src/lib/core/coordinator.ts";

export const queue: EntryPolicy = { concurrency: "queue", maxQueued: 100 };
export const thread = { owner: "ada", threadId: "thread" };
export const me = { follower: "me" };

export const turn = (responseId: string, key = thread): TicketRequest => ({
  ...key,
  responseId,
  attempt: randomUUID(),
  promptId: `prompt of ${responseId}`,
  promptDigest: "digest",
});

/** Enters a turn that must get a place. */
export async function enter(coordinator: Coordinator, request: TicketRequest | string, policy = queue): Promise<Ticket> {
  const entrance = await coordinator.enter(typeof request === "string" ? turn(request) : request, policy, me);
  if (entrance.kind !== "entered") throw new Error(`Not entered: ${entrance.kind}`);
  return entrance.ticket;
}

export const sleep = (milliseconds: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, milliseconds));

/** Waits until the check passes. */
export const eventually = <T>(check: () => T | Promise<T>): Promise<T> => vi.waitFor(check, { timeout: 10_000, interval: 20 });
