/** Coordinators that each break one promise, as real ones do; the kit must name it. */
import type { Coordinator, TurnKey } from "../../src/lib/core/coordinator.ts";
import { keyOf, type ThreadKey } from "../../src/lib/core/store.ts";
import type { CoordinatorInvariantName } from "../../src/lib/testkit/coordinator/invariants.ts";
import {
  createSimpleCoordinator,
  noCoordinatorData,
  type CoordinatorData,
  type Entry,
  type KeptLog,
  type SimpleCoordinatorOptions,
  type ThreadData,
} from "./simple-coordinator.ts";

/** The methods that a broken coordinator has in place of the right ones. */
export type Break = (good: Coordinator, data: CoordinatorData, options: SimpleCoordinatorOptions) => Partial<Coordinator>;

export interface BrokenCoordinator {
  name: string;
  /** The invariant that a case must name. */
  breaks: CoordinatorInvariantName;
  /** The case that must find the fault; the two variants of a race count as one. */
  caughtBy: string;
  /** The methods that are wrong: the failure must name a call of one of them. */
  faulty: string[];
  create(data: CoordinatorData, options: SimpleCoordinatorOptions): Coordinator;
}

export function broken(name: string, breaks: CoordinatorInvariantName, caughtBy: string, change: Break): BrokenCoordinator {
  const data = noCoordinatorData();
  return {
    name,
    breaks,
    caughtBy,
    faulty: Object.keys(change(createSimpleCoordinator(data), data, {})),
    create(data, options) {
      const good = createSimpleCoordinator(data, options);
      return { ...good, ...change(good, data, options) };
    },
  };
}

/** The thread as it is kept, or an empty one that is not. */
export function threadOf(data: CoordinatorData, key: ThreadKey): ThreadData {
  return data.threads.get(keyOf(key)) ?? { lastPlace: 0, queue: [], left: new Map(), logs: new Map(), stops: new Map() };
}

export const entryOf = (data: CoordinatorData, ticket: TurnKey & { attempt: string }): Entry | undefined =>
  threadOf(data, ticket).queue.find(({ attempt }) => attempt === ticket.attempt);

/** The entries of a turn, which may be attempted again before its first attempt has ended. */
export const entriesOf = (data: CoordinatorData, turn: TurnKey): Entry[] =>
  threadOf(data, turn).queue.filter(({ responseId }) => responseId === turn.responseId);

export const logOf = (data: CoordinatorData, ticket: TurnKey & { attempt: string }): KeptLog | undefined =>
  threadOf(data, ticket)
    .logs.get(ticket.responseId)
    ?.find(({ attempt }) => attempt === ticket.attempt);

/** Orders the queue again, after a place has changed. */
export function sortQueue(thread: ThreadData): void {
  thread.queue.sort((a, b) => (a.place < b.place ? -1 : 1));
}

/** As long as a round trip to a database takes, in which anything may happen. */
export const roundTrip = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

export const lost = { state: "lost", isStopRequested: false, isFollowed: false, hasPredecessorStarted: false, logLength: 0 } as const;
