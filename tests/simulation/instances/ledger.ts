/** The record of a schedule of instances: the rules read it, and decide with it what may happen. */
import type { ThreadKey, TurnEndEvent } from "../../../src/index.ts";
import type { Attempt, Call } from "../records.ts";
import { isSame } from "../records.ts";
import type { Schedule } from "../schedule.ts";
import type { InstanceClock } from "./clock.ts";
import type { Instance } from "./instance.ts";
import type { InstancesPlan } from "./plan.ts";

/** The settings of the coordinator, in milliseconds. */
export const pace = { leaseMs: 3000, retentionMs: 60_000, followMs: 3000, ticketPollMs: 300, logPollMs: 300, flushMs: 20 };
/** How long the handler waits for one call of the coordinator. */
export const callTimeout = pace.leaseMs / 4;
/** The handler's timeouts. */
export const timeouts = { store: 1000, firstChunk: 8000, idle: 8000, queue: 20_000, turn: 30_000, read: 5000 };
/** The handler's `limits.steps`. */
export const steps = 3;

/** A moment of a schedule. */
interface Moment {
  step: number;
  ms: number;
}

/** A turn that entered the coordinator's queue. */
export interface Entry {
  /** Its attempt at the coordinator. */
  readonly token: string;
  readonly thread: ThreadKey;
  readonly responseId: string;
  readonly instance: Instance;
  readonly enteredAt: Moment;
  /** Whether its instance learned of its entry in time. Otherwise the turn runs without the coordinator. */
  isKnown: boolean;
  /** Whether its instance has reported the end. */
  isOver: boolean;
  overAt: number | undefined;
  /** When a stop for it took effect, in milliseconds. */
  stopAt: number | undefined;
  /** When its instance learned that it may run, in milliseconds. */
  grantedAt: number | undefined;
  /** The step in which its instance learned that it lost its place. */
  toldLostAt: number | undefined;
  /** Whether its instance learned of its entry too late, and did not want it any more. */
  isUnwanted: boolean;
  /** Whether its instance lets nobody join any more: the turn is about to end early. */
  isClosing: boolean;
  /** When its end was last sent, and whether that was answered. */
  endSentAt: number;
  isEndAnswered: boolean;
  /** When the last call that extended its lease was sent, by the clock of its instance. */
  renewedAt: number;
  /** When the last call for it failed, or was sent and not answered, by the clock of its instance. */
  unansweredAt: number;
  /** When a call was last answered in time, by the clock of its instance. */
  answeredAt: number;
  /** Whether no call was answered for as long as a lease, so that the turn may run without the coordinator. */
  wasUnreachable: boolean;
}

/** One request of a client. */
export interface ClientRequest {
  readonly number: number;
  readonly kind: "prompt" | "resume" | "stop";
  readonly instance: Instance;
  readonly thread: ThreadKey;
  readonly promptId: string;
  readonly content: string;
  /** A resume that names none has that of its response. */
  responseId: string;
  readonly hasCursor: boolean;
  readonly startedAt: Moment;
  /** From the header: whose bytes it receives, and from where. */
  attempt: string | undefined;
  offset: number;
  received: Buffer;
  readAt: number;
  hasDisconnected: boolean;
  isAnswered: boolean;
  /** `"clean"`, `"empty"` (204), `"accepted"` (202), or the code of an error. */
  outcome: string | undefined;
  read(): void;
  disconnect(how: "abort" | "cancel"): void;
}

/** One run of a turn, as far as it has called the model. */
export interface Run extends Attempt {
  readonly process: Instance;
  readonly entry: Entry | undefined;
  /** When anyone last read it, in milliseconds. */
  readAt: number;
  ended: TurnEndEvent | undefined;
}

/** A complete answer in the store. */
interface CompleteAnswer {
  readonly thread: ThreadKey;
  readonly responseId: string;
  readonly attempt: string | undefined;
  /** The text of all of its messages. */
  readonly text: string;
  /** The step in which it was stored. */
  readonly step: number;
}

/** What has happened in a schedule. */
export interface InstancesLedger {
  readonly schedule: Schedule;
  readonly clock: InstanceClock;
  readonly plan: InstancesPlan;
  readonly requests: ClientRequest[];
  readonly entries: Entry[];
  readonly runs: Run[];
  readonly calls: Call[];
  /** The complete answers in the store, by prompt: the text of all of their messages. */
  readonly complete: Map<string, CompleteAnswer>;
  /** All answers that were ever complete. */
  readonly everComplete: CompleteAnswer[];
  /** The threads that were deleted with messages, and in which step. */
  readonly deletions: { thread: ThreadKey; step: number }[];
  /** Whether a call of the coordinator failed, or an instance, a line or a clock. */
  hasFault: boolean;
  hasStoreFault: boolean;
  hasCrash: boolean;
  /** Whether the coordinator lost text of a turn that runs. Its clients do not notice. */
  hasLostText: boolean;
  /** Notes when a call is sent, and that it is a fault if it takes too long. Returns a function that notes its answer. */
  expectAnswer(of: "store" | "coordinator"): () => void;
  check(holds: unknown, invariant: string, detail: () => string): void;
  now(): Moment;
  entryOf(token: string): Entry | undefined;
  runsAt(thread: ThreadKey, responseId: string): Run[];
}

export function createInstancesLedger(schedule: Schedule, clock: InstanceClock, plan: InstancesPlan): InstancesLedger {
  const entries: Entry[] = [];
  const runs: Run[] = [];
  const pending = new Set<{ of: "store" | "coordinator"; until: number }>();
  clock.onAdvance = () => {
    for (const call of pending) {
      if (clock.time < call.until) continue;
      pending.delete(call);
      ledger[call.of === "store" ? "hasStoreFault" : "hasFault"] = true;
    }
  };
  const ledger: InstancesLedger = {
    schedule,
    clock,
    plan,
    requests: [],
    entries,
    runs,
    calls: [],
    complete: new Map(),
    everComplete: [],
    deletions: [],
    hasFault: false,
    hasStoreFault: false,
    hasCrash: false,
    hasLostText: false,
    expectAnswer(of) {
      const call = { of, until: clock.time + (of === "store" ? timeouts.store : callTimeout) };
      pending.add(call);
      return () => void pending.delete(call);
    },
    check(holds, invariant, detail) {
      if (!holds) schedule.break(invariant, detail());
    },
    now: () => ({ step: schedule.step, ms: clock.time }),
    entryOf: (token) => entries.find((entry) => entry.token === token),
    runsAt: (thread, responseId) => runs.filter((run) => run.responseId === responseId && isSame(run.thread, thread)),
  };
  return ledger;
}
