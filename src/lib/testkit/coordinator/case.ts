/** How a case for a coordinator is written, and how it runs. */
import { type Coordinator, coordinatorMethods, type TicketStatus } from "../../core/coordinator.ts";
import { CallLog, type CallShape } from "../calls.ts";
import { isRecord, show } from "../expect.ts";
import { runBody } from "../run.ts";
import { coordinatorInvariants, type CoordinatorInvariantName } from "./invariants.ts";
import { createClock, type CaseClock } from "./clock.ts";
import type { CoordinatorSubject, CoordinatorTimes } from "./subject.ts";

/** What a case works with. */
export interface CaseSetup {
  /** The coordinator from `create`. Its times are so long that nothing expires. */
  one: Coordinator;
  /** Another instance on the same data, with the same times. */
  other: Coordinator;
  /** Opens another instance on the same data. The times that are left out are long. */
  open(times: Partial<CoordinatorTimes>): Promise<Coordinator>;
  clock: CaseClock;
  /** Removes all data. Only for a case that needs `forget`. */
  forget(): Promise<void>;
}

/** A case as it is written. */
export interface CoordinatorCase {
  name: string;
  invariant: CoordinatorInvariantName;
  needs?: "forget" | "hints" | "databaseClock" | undefined;
  /** Whether it waits for an expiry or a hint, and plays more rounds on a slow machine. It may take four times as long. */
  waits?: boolean | undefined;
  body(setup: CaseSetup): Promise<void>;
}

/** Long enough that no machine is so slow that anything expires. */
const longTimes: CoordinatorTimes = { leaseMs: 3_600_000, retentionMs: 3_600_000 };

const shapes: Readonly<Record<string, string>> = { renew: "status", check: "status", append: "status", enter: "kind" };

const coordinatorCalls: CallShape = {
  kind: "coordinator",
  openedBy: "create and peer",
  methods: coordinatorMethods,
  readingMethods: new Set(["check", "read", "unfollow", "find"]),
  readsShowAll: false,
  resultFault(method, result) {
    const shape = shapes[method];
    if (shape === "status") return isStatus(result) ? undefined : "a TicketStatus";
    return shape === "kind" && !(isRecord(result) && typeof result.kind === "string") ? "a CoordinatorEntrance" : undefined;
  },
  brief,
};

const isStatus = (value: unknown): value is TicketStatus => isRecord(value) && "state" in value && "isStopRequested" in value;

/** Like `show`, but names turns and tickets by their ids alone, and a status by what holds: a line should fit on a screen. */
function brief(value: unknown): string {
  if (!isRecord(value)) return show(value);
  if (isStatus(value)) return briefStatus(value);
  if (value.kind === "entered") return `entered { ahead: ${show(value.ahead)}, ${brief(value.ticket)}, ${brief(value.status)} }`;
  if (!("threadId" in value)) return show(value);
  const { owner, threadId, responseId, promptId, attempt, place, ...rest } = value;
  const parts = [
    ...(owner === "" ? [] : [`owner ${show(owner)}`]),
    ...(threadId === "thread" ? [] : [`thread ${show(threadId)}`]),
    ...(responseId === undefined ? [] : [`response ${show(responseId)}`]),
    ...(promptId === undefined || promptId === `prompt of ${String(responseId)}` ? [] : [`prompt ${show(promptId)}`]),
    ...(rest.promptDigest === undefined || rest.promptDigest === "digest" ? [] : [`digest ${show(rest.promptDigest)}`]),
    ...(attempt === undefined ? [] : [`attempt ${show(attempt)}`]),
    ...(place === undefined ? [] : [`place ${show(place)}`]),
  ];
  return `<${parts.join(", ") || "the thread"}>`;
}

function briefStatus({ state, isStopRequested, isFollowed, hasPredecessorStarted, logLength }: TicketStatus): string {
  const flags = [isStopRequested && "stop requested", isFollowed && "followed", hasPredecessorStarted && "predecessor started"];
  return `${[state, ...flags.filter(Boolean)].join(", ")}, log ${logLength}`;
}

/** Runs the case on a new coordinator. Rejects with an `InvariantError` if the coordinator breaks the invariant. */
export async function runCoordinatorCase<Instance extends Coordinator>(
  { invariant, body }: CoordinatorCase,
  subject: CoordinatorSubject<Instance>,
  timeout: number,
): Promise<void> {
  const log = new CallLog(coordinatorCalls);
  const first = await subject.create(longTimes);
  const one = withMembers(log.record<Coordinator>(first, "one"), first);
  const peers: Instance[] = [];

  async function open(name: string, times: Partial<CoordinatorTimes>): Promise<Coordinator> {
    const peer = await subject.peer(first, { ...longTimes, ...times });
    const recorded = log.record<Coordinator>(peer, name);
    peers.push(peer);
    return withMembers(recorded, peer);
  }

  let opened = 0;
  const advance = subject.advance;
  const clock = createClock(advance && (async (ms) => advance(ms, first)));
  await runBody({
    invariant: coordinatorInvariants[invariant],
    log,
    timeout,
    body: async () =>
      body({
        one,
        other: await open("other", {}),
        open: (times) => open(`peer${++opened}`, times),
        clock,
        async forget() {
          if (!subject.forget) throw new Error("The case does not declare that it needs `forget`");
          await subject.forget(first);
          // A place may come from a clock that counts milliseconds.
          await clock.wait(10);
        },
      }),
    async close() {
      for (const coordinator of [...peers.reverse(), first]) await subject.destroy?.(coordinator);
    },
  });
}

/** Adds what is no asynchronous method to a recorded coordinator. */
function withMembers(recorded: Coordinator, coordinator: Coordinator): Coordinator {
  const { settings } = coordinator;
  const subscribe = coordinator.subscribe?.bind(coordinator);
  return Object.defineProperties(recorded, {
    settings: { value: settings, enumerable: true },
    ...(subscribe && { subscribe: { value: subscribe, enumerable: true } }),
  });
}
