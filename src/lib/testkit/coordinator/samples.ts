/** The turns that the cases use, and what they expect of their tickets. */
import type {
  Coordinator,
  CoordinatorEntrance,
  EntryPolicy,
  Follower,
  LogSlice,
  Ticket,
  TicketRequest,
  TicketStatus,
  TurnKey,
} from "../../core/coordinator.ts";
import type { ThreadKey } from "../../core/store.ts";
import { expectEqual, expectThat, show } from "../expect.ts";

export const queue: EntryPolicy = { concurrency: "queue", maxQueued: 1000 };
export const reject: EntryPolicy = { concurrency: "reject", maxQueued: 1000 };
export const interrupt: EntryPolicy = { concurrency: "interrupt", maxQueued: 1000 };

/** A follower, by its id. */
export const reader = (follower = "reader"): Follower => ({ follower });

let attempts = 0;

/** An attempt of its own at the turn with this response id. */
export function turn(responseId: string, changes: Partial<TicketRequest> = {}): TicketRequest {
  return {
    owner: "",
    threadId: "thread",
    responseId,
    promptId: `prompt of ${responseId}`,
    promptDigest: "digest",
    attempt: `attempt-${++attempts}`,
    ...changes,
  };
}

/** The key of a turn without what its attempt adds. */
export const keyOfTurn = ({ owner, threadId, responseId }: TurnKey): TurnKey => ({ owner, threadId, responseId });

/** The key of a turn's thread. */
export const threadOf = ({ owner, threadId }: ThreadKey): ThreadKey => ({ owner, threadId });

type Entered = Extract<CoordinatorEntrance, { kind: "entered" }>;

/** Enters a turn that must get a place. */
export async function enterAs(coordinator: Coordinator, request: TicketRequest, policy: EntryPolicy = queue): Promise<Entered> {
  const entrance = await coordinator.enter(request, policy, reader(`reader of ${request.attempt}`));
  expectKind(entrance, "entered", `What the entry of ${show(request.responseId)} resolved to`);
  expectThat(
    typeof entrance.ticket?.place === "string",
    `The ticket of ${show(request.responseId)} has no place: ${show(entrance.ticket)}`,
  );
  const { place: _, ...rest } = entrance.ticket;
  expectEqual(rest, request, "The ticket without its place");
  return entrance;
}

/** Enters a turn that must get a place, and returns its ticket. */
export async function enter(coordinator: Coordinator, request: TicketRequest, policy: EntryPolicy = queue): Promise<Ticket> {
  return (await enterAs(coordinator, request, policy)).ticket;
}

/** Fails unless the turn joins this attempt. */
export async function expectJoins(
  coordinator: Coordinator,
  request: TicketRequest,
  attempt: string,
  follower: Follower = reader(),
): Promise<void> {
  const entrance = await coordinator.enter(request, queue, follower);
  expectEqual(entrance, { kind: "joined", attempt }, `What the entry of ${show(request.responseId)} resolved to`);
}

/** Fails unless the entry resolved to this kind. */
export function expectKind<Kind extends CoordinatorEntrance["kind"]>(
  entrance: CoordinatorEntrance,
  kind: Kind,
  what: string,
): asserts entrance is Extract<CoordinatorEntrance, { kind: Kind }> {
  expectEqual(entrance.kind, kind, what);
}

/** Fails unless the tickets stand like this. */
export async function expectStates(
  coordinator: Coordinator,
  states: readonly (readonly [ticket: Ticket, state: TicketStatus["state"]])[],
  when: string,
): Promise<void> {
  for (const [ticket, state] of states) {
    expectEqual((await coordinator.check(ticket)).state, state, `The state of ${show(ticket.responseId)} ${when}`);
  }
}

/** Reads a whole log, slice by slice. The reader does not follow it afterwards. */
export async function readLog(coordinator: Coordinator, key: TurnKey, attempt?: string): Promise<string | undefined> {
  let text = "";
  for (;;) {
    const slice = await coordinator.read(key, attempt, text.length, reader("log"));
    if (!slice) return undefined;
    text += slice.data;
    if (slice.data.length > 0 && text.length < slice.length) continue;
    await coordinator.unfollow({ ...key, attempt: slice.attempt }, reader("log"));
    return text;
  }
}

/** Fails unless the attempt's log is this text, in this state. */
export async function expectLog(
  coordinator: Coordinator,
  ticket: Ticket,
  expected: { text: string; state: LogSlice["state"] },
  when: string,
): Promise<void> {
  const { text, state } = expected;
  const slice = await coordinator.read(keyOfTurn(ticket), ticket.attempt, 0, reader("log"));
  await coordinator.unfollow(ticket, reader("log"));
  expectEqual(slice, { attempt: ticket.attempt, data: text, length: text.length, state }, `The log of ${show(ticket.responseId)} ${when}`);
}
