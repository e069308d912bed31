/**
 * The reference model: from what was asked, what the model was made to say and what the store was made to do, it knows what must be
 * stored and what may be shown, and stops the schedule where the handler does otherwise.
 */
import type { TurnEndEvent, ThreadKey } from "../../src/index.ts";
import { type AskedRules, createAskedRules } from "./asked-rules.ts";
import { type ArrivalRules, createArrivalRules } from "./arrival-rules.ts";
import { createLedger, type Ledger } from "./ledger.ts";
import type { Plan } from "./plan.ts";
import { isSame, nameOf, type Process } from "./records.ts";
import type { Schedule } from "./schedule.ts";
import { createShownRules, type ShownRules } from "./shown-rules.ts";
import { createStoredRules, type StoredRules } from "./stored-rules.ts";

/** What must be stored and shown. */
export interface Reference {
  readonly ledger: Ledger;
  readonly arrival: ArrivalRules;
  readonly stored: StoredRules;
  readonly asked: AskedRules;
  readonly shown: ShownRules;
  /** The handler says that a turn has ended. */
  turnEnds(process: Process, turn: TurnEndEvent): void;
  /** Another route has saved the form state of an answer. */
  formSaved(thread: ThreadKey, id: string, context: string): void;
  /** Another route has deleted a thread. */
  threadDeleted(thread: ThreadKey): void;
  /** Holds between any two steps. */
  check(): void;
  /** Holds when nothing can happen any more. */
  checkSettled(): void;
}

/** @param plan - What is asked of the handler. */
export function createReference(schedule: Schedule, { last, concurrency }: Pick<Plan, "last" | "concurrency">): Reference {
  const ledger = createLedger(schedule, concurrency);
  const { mirror, requests, attempts, calls, wholes, deletedWholes, unless } = ledger;
  const stored = createStoredRules(ledger);
  const arrival = createArrivalRules(ledger);
  const asked = createAskedRules(ledger, last);
  const shown = createShownRules(ledger, stored);

  return {
    ledger,
    arrival,
    stored,
    asked,
    shown,

    turnEnds(process, turn) {
      if (process.isDead) return;
      const { responseId, prompt, status, error } = turn;
      const name = nameOf(turn, responseId);
      const attempt = attempts.find(
        (other) => other.process === process && other.responseId === responseId && isSame(other.thread, turn) && !other.ended,
      );
      unless(attempt || turn.steps === 0, "a turn is told of once", () => name);
      const isDeleted = ledger.happened(turn, ledger.firstAsked(turn, prompt.id), "deletion");
      unless(isDeleted || mirror.find(turn, prompt.id), "the prompt of every turn taken up is stored", () => nameOf(turn, prompt.id));
      const whole = wholes.get(name);
      unless(isDeleted || status !== "complete" || whole, "only a stored answer is told as complete", () => name);
      if (whole && status === "complete") whole.isTold = true;
      if (!attempt) return;
      attempt.ended = turn;
      if (status !== "complete" && error?.code !== "id_conflict" && error?.code !== "thread_deleted") stored.failed(attempt);
    },

    formSaved(thread, id, context) {
      const whole = wholes.get(nameOf(thread, id));
      if (!whole) return;
      whole.isTold = true;
      whole.contents.push(`${whole.contents.at(-1)}${context}`);
      whole.texts.push(`${whole.texts.at(-1)}${context}`);
    },

    threadDeleted(thread) {
      ledger.deletions.push({ thread, step: schedule.step, kept: mirror.list(thread) });
      mirror.deleteThread(thread);
      ledger.incident("deletion", thread);
      for (const [name, whole] of wholes) {
        if (!isSame(whole.thread, thread)) continue;
        deletedWholes.push(whole);
        wholes.delete(name);
      }
    },

    check() {
      arrival.check();
      stored.check();
      asked.check();
    },

    checkSettled() {
      for (const request of requests) {
        const { number, process, isAnswered, hasLeft, outcome } = request;
        unless(process.isDead || (isAnswered && (hasLeft || outcome)), "every request ends", () => `request ${number}`);
        if (hasLeft) shown.left(request);
      }
      for (const { number, isOpen, attempt } of calls)
        unless(!isOpen || attempt.process.isDead, "every model call is closed", () => `call ${number}`);
      for (const { ended, process, thread, responseId } of attempts) {
        unless(ended || process.isDead, "every turn is told of", () => nameOf(thread, responseId));
      }
    },
  };
}
