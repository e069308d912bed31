/**
 * The reference model. From the requests, the model calls and the store faults it computes what must be stored and what may be sent to
 * clients. It stops the schedule if the handler does something else.
 */
import type { TurnEndEvent, ThreadKey } from "../../src/index.ts";
import { type ModelCallRules, createModelCallRules } from "./model-call-rules.ts";
import { type ArrivalRules, createArrivalRules } from "./arrival-rules.ts";
import { createLedger, type Ledger } from "./ledger.ts";
import type { Plan } from "./plan.ts";
import { isSame, nameOf, type Process } from "./records.ts";
import type { Schedule } from "./schedule.ts";
import { createResponseRules, type ResponseRules } from "./response-rules.ts";
import { createStoredRules, type StoredRules } from "./stored-rules.ts";

/** The reference model. */
export interface Reference {
  readonly ledger: Ledger;
  readonly arrival: ArrivalRules;
  readonly stored: StoredRules;
  readonly modelCalls: ModelCallRules;
  readonly responses: ResponseRules;
  /** Called by `onTurnEnd`. */
  turnEnds(process: Process, turn: TurnEndEvent): void;
  /** Called when another route has saved form state. */
  formSaved(thread: ThreadKey, id: string, context: string): void;
  /** Called when another route has deleted a thread. */
  threadDeleted(thread: ThreadKey): void;
  /** Checks what must be true after each step. */
  check(): void;
  /** Checks what must be true at the end. */
  checkSettled(): void;
}

/** @param plan - The plan of the schedule. */
export function createReference(schedule: Schedule, { last, concurrency }: Pick<Plan, "last" | "concurrency">): Reference {
  const ledger = createLedger(schedule, concurrency);
  const { expectedStore, requests, attempts, calls, completeAnswers, deletedAnswers, check } = ledger;
  const stored = createStoredRules(ledger);
  const arrival = createArrivalRules(ledger);
  const modelCalls = createModelCallRules(ledger, last);
  const responses = createResponseRules(ledger, stored);

  return {
    ledger,
    arrival,
    stored,
    modelCalls,
    responses,

    turnEnds(process, turn) {
      if (process.isDead) return;
      const { responseId, prompt, status, error } = turn;
      const name = nameOf(turn, responseId);
      const attempt = attempts.find(
        (other) => other.process === process && other.responseId === responseId && isSame(other.thread, turn) && !other.ended,
      );
      check(attempt || turn.steps === 0, "onTurnEnd is called once for each turn", () => name);
      const isDeleted = ledger.happened(turn, ledger.firstAsked(turn, prompt.id), "deletion");
      check(isDeleted || expectedStore.find(turn, prompt.id), "the prompt of every turn taken up is stored", () => nameOf(turn, prompt.id));
      const whole = completeAnswers.get(name);
      check(isDeleted || status !== "complete" || whole, "only a stored answer is reported as complete", () => name);
      if (whole && status === "complete") whole.isConfirmed = true;
      if (!attempt) return;
      attempt.ended = turn;
      if (status !== "complete" && error?.code !== "id_conflict" && error?.code !== "thread_deleted") stored.failed(attempt);
    },

    formSaved(thread, id, context) {
      const whole = completeAnswers.get(nameOf(thread, id));
      if (!whole) return;
      whole.isConfirmed = true;
      whole.contents.push(`${whole.contents.at(-1)}${context}`);
      whole.texts.push(`${whole.texts.at(-1)}${context}`);
    },

    threadDeleted(thread) {
      ledger.deletions.push({ thread, step: schedule.step, deletedMessages: expectedStore.list(thread) });
      expectedStore.deleteThread(thread);
      ledger.incident("deletion", thread);
      for (const [name, whole] of completeAnswers) {
        if (!isSame(whole.thread, thread)) continue;
        deletedAnswers.push(whole);
        completeAnswers.delete(name);
      }
    },

    check() {
      arrival.check();
      stored.check();
      modelCalls.check();
    },

    checkSettled() {
      for (const request of requests) {
        const { number, process, isAnswered, hasDisconnected, outcome } = request;
        check(process.isDead || (isAnswered && (hasDisconnected || outcome)), "every request ends", () => `request ${number}`);
        if (hasDisconnected) responses.clientDisconnected(request);
      }
      for (const { number, isOpen, attempt } of calls)
        check(!isOpen || attempt.process.isDead, "every model call is closed", () => `call ${number}`);
      for (const { ended, process, thread, responseId } of attempts) {
        check(ended || process.isDead, "onTurnEnd is called for every turn", () => nameOf(thread, responseId));
      }
    },
  };
}
