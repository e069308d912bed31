/** The record of a schedule, which all rules read. */
import type { ThreadKey } from "../../src/index.ts";
import { createExpectedStore, type ExpectedMessage, type ExpectedStore } from "./expected-store.ts";
import type { Plan } from "./plan.ts";
import { type Attempt, type Call, type ChatRequest, type Incident, isSame, type CompleteAnswer } from "./records.ts";
import type { Schedule } from "./schedule.ts";

/** What has happened in a schedule. */
export interface Ledger {
  readonly schedule: Schedule;
  /** The handler's option `concurrency`. */
  readonly concurrency: Plan["concurrency"];
  readonly expectedStore: ExpectedStore;
  readonly requests: ChatRequest[];
  readonly attempts: Attempt[];
  readonly calls: Call[];
  readonly incidents: Incident[];
  /** The complete answers in the store, by name. */
  readonly completeAnswers: Map<string, CompleteAnswer>;
  /** Complete answers that were deleted with their threads. */
  readonly deletedAnswers: CompleteAnswer[];
  /** The number of store calls. */
  storeCalls: number;
  /** Stops the schedule if the condition is false. */
  check(holds: unknown, invariant: string, detail: () => string): void;
  /** Records something that may explain an error. */
  incident(kind: Incident["kind"], thread: ThreadKey): void;
  /** Whether one of these kinds happened to a thread since a step. */
  happened(thread: ThreadKey, since: number, ...kinds: Incident["kind"][]): boolean;
  /** When the turn of a request read its thread, and whether it read all of it. */
  readsOf(request: number): { step: number; isOfAll: boolean }[];
  /** What each deletion of a thread removed. */
  readonly deletions: { readonly thread: ThreadKey; readonly step: number; readonly deletedMessages: readonly ExpectedMessage[] }[];
  /** All attempts at an answer. */
  attemptsAt(thread: ThreadKey, responseId: string): Attempt[];
  /** When a prompt was first sent. */
  firstAsked(thread: ThreadKey, promptId: string): number;
}

/** Creates an empty record. */
export function createLedger(schedule: Schedule, concurrency: Plan["concurrency"]): Ledger {
  const requests: ChatRequest[] = [];
  const attempts: Attempt[] = [];
  const incidents: Incident[] = [];
  const looks: { step: number; isOfAll: boolean }[][] = [];

  return {
    schedule,
    concurrency,
    expectedStore: createExpectedStore(),
    requests,
    attempts,
    calls: [],
    incidents,
    completeAnswers: new Map(),
    deletedAnswers: [],
    storeCalls: 0,
    check(holds, invariant, detail) {
      if (!holds) schedule.break(invariant, detail());
    },
    incident: (kind, thread) => void incidents.push({ kind, thread, step: schedule.step }),
    happened: (thread, since, ...kinds) =>
      incidents.some((incident) => kinds.includes(incident.kind) && incident.step >= since && isSame(incident.thread, thread)),
    readsOf: (request) => (looks[request] ??= []),
    deletions: [],
    attemptsAt: (thread, responseId) => attempts.filter((attempt) => attempt.responseId === responseId && isSame(attempt.thread, thread)),
    firstAsked: (thread, promptId) =>
      requests.find((request) => request.promptId === promptId && isSame(request.thread, thread))?.startedAt.step ?? 0,
  };
}

/** The whole text of an attempt, if nothing interrupts it. */
export const textOfAttempt = ({ calls }: Attempt): string => calls.map(({ text }) => text).join("");
