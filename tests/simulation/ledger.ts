/** All that has happened in a schedule: the facts that every rule looks at. */
import type { ThreadKey } from "../../src/index.ts";
import { createMirror, type Kept, type Mirror } from "./mirror.ts";
import type { Plan } from "./plan.ts";
import { type Attempt, type Call, type ChatRequest, type Incident, isSame, type Whole } from "./records.ts";
import type { Schedule } from "./schedule.ts";

/** The facts. */
export interface Ledger {
  readonly schedule: Schedule;
  /** What the handler was told to do with a prompt on a busy thread. */
  readonly concurrency: Plan["concurrency"];
  readonly mirror: Mirror;
  readonly requests: ChatRequest[];
  readonly attempts: Attempt[];
  readonly calls: Call[];
  readonly incidents: Incident[];
  /** The whole answers that are stored, by name. */
  readonly wholes: Map<string, Whole>;
  /** Those that went with their threads. */
  readonly deletedWholes: Whole[];
  /** How often the handlers called the store. */
  storeCalls: number;
  /** Stops the schedule where the invariant does not hold. */
  unless(holds: unknown, invariant: string, detail: () => string): void;
  /** Something happens that may explain an error. */
  incident(kind: Incident["kind"], thread: ThreadKey): void;
  /** Whether something of these kinds happened to a thread since that step. */
  happened(thread: ThreadKey, since: number, ...kinds: Incident["kind"][]): boolean;
  /** When the turn of a request has read its thread, and whether it read all of it. */
  looksOf(request: number): { step: number; isOfAll: boolean }[];
  /** What went with each deletion of a thread. */
  readonly deletions: { readonly thread: ThreadKey; readonly step: number; readonly kept: readonly Kept[] }[];
  /** All goes at an answer. */
  attemptsAt(thread: ThreadKey, responseId: string): Attempt[];
  /** When a prompt was first sent. */
  firstAsked(thread: ThreadKey, promptId: string): number;
}

/** Nothing has happened yet. */
export function createLedger(schedule: Schedule, concurrency: Plan["concurrency"]): Ledger {
  const requests: ChatRequest[] = [];
  const attempts: Attempt[] = [];
  const incidents: Incident[] = [];
  const looks: { step: number; isOfAll: boolean }[][] = [];

  return {
    schedule,
    concurrency,
    mirror: createMirror(),
    requests,
    attempts,
    calls: [],
    incidents,
    wholes: new Map(),
    deletedWholes: [],
    storeCalls: 0,
    unless(holds, invariant, detail) {
      if (!holds) schedule.break(invariant, detail());
    },
    incident: (kind, thread) => void incidents.push({ kind, thread, step: schedule.step }),
    happened: (thread, since, ...kinds) =>
      incidents.some((incident) => kinds.includes(incident.kind) && incident.step >= since && isSame(incident.thread, thread)),
    looksOf: (request) => (looks[request] ??= []),
    deletions: [],
    attemptsAt: (thread, responseId) => attempts.filter((attempt) => attempt.responseId === responseId && isSame(attempt.thread, thread)),
    firstAsked: (thread, promptId) =>
      requests.find((request) => request.promptId === promptId && isSame(request.thread, thread))?.startedAt.step ?? 0,
  };
}

/** All that the model says in an attempt, if it is let. */
export const textOfAttempt = ({ calls }: Attempt): string => calls.map(({ text }) => text).join("");
