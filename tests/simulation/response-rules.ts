/** Rules for responses: what clients may receive, and how it may end. */
import { findUnexplained } from "./explanations.ts";
import { type Ledger, textOfAttempt } from "./ledger.ts";
import { type ChatRequest, callsIn, isPrefix, isSame, nameOf, type CompleteAnswer } from "./records.ts";
import type { StoredRules } from "./stored-rules.ts";

/** The rules. */
export interface ResponseRules {
  /** Called when a client receives text. */
  textReceived(request: ChatRequest): void;
  /** Called when a response ends, with `"clean"` or the code of its error. */
  responseEnded(request: ChatRequest, outcome: string): void;
  /** Called at the end for a client that disconnected. Its prompt must be stored, unless a fault prevented it. */
  clientDisconnected(request: ChatRequest): void;
}

export function createResponseRules(ledger: Ledger, stored: StoredRules): ResponseRules {
  const { expectedStore, requests, concurrency, attempts, schedule, completeAnswers, deletedAnswers, check, happened, attemptsAt } = ledger;

  const endsClean = ({ thread, promptId, content, responseId, receivedText, startedAt }: ChatRequest) => {
    const whole = completeAnswers.get(nameOf(thread, responseId));
    if (whole) whole.isConfirmed = true;
    const isIt = (other: CompleteAnswer) => other.responseId === responseId && isSame(other.thread, thread);
    const gone = happened(thread, startedAt.step, "deletion") ? deletedAnswers.filter(isIt) : [];
    const texts = [whole, ...gone].flatMap((whole) => whole?.texts ?? []);
    const detail = () =>
      `${nameOf(thread, responseId)} showed ${JSON.stringify(receivedText.slice(-200))}, stored is ${JSON.stringify(whole ?? "nothing whole")}`;
    const asked = expectedStore.find(thread, promptId);
    const isItsOwn = !asked || gone.length > 0 || (asked.stored.message.content === content && (whole?.promptId ?? promptId) === promptId);
    check(isItsOwn, "an answer is sent only for its own prompt", detail);
    check(texts.includes(receivedText), "after a clean end, exactly this text is stored as complete", detail);
  };

  return {
    clientDisconnected(request) {
      const { number, process, thread, promptId, responseId, startedAt } = request;
      const isTold = requests.some(
        (other) =>
          other.process === process && other.responseId === responseId && isSame(other.thread, thread) && other.outcome === "thread_busy",
      );
      const hindrances = ["store_failed", "id_conflict", "thread_deleted", ...(isTold || concurrency === "reject" ? ["thread_busy"] : [])];
      const isHindered = hindrances.some((code) => findUnexplained(code, request, ledger) === undefined);
      const isStored = expectedStore.find(thread, promptId) !== undefined;
      check(
        isStored || isHindered || process.isDead,
        "the prompt of a disconnected client is stored",
        () => `request ${number}, since ${startedAt.step}`,
      );
    },

    textReceived({ thread, responseId, receivedText }) {
      const attemptTexts = attemptsAt(thread, responseId).map(textOfAttempt);
      const confirmed = [...completeAnswers.values(), ...deletedAnswers].filter(
        (whole) => whole.responseId === responseId && isSame(whole.thread, thread),
      );
      const isExplained = [...attemptTexts, ...confirmed.flatMap(({ texts }) => texts)].some((text) => isPrefix(receivedText, text));
      check(
        isExplained,
        "a client receives a prefix of the model's text",
        () => `${nameOf(thread, responseId)} shows ${JSON.stringify(receivedText.slice(-200))}`,
      );
    },

    responseEnded(request, outcome) {
      request.outcome = outcome;
      if (request.hasDisconnected) return;
      const { number, thread, responseId, receivedText } = request;
      schedule.note(`request ${number} ended: ${outcome}`);
      if (outcome === "clean") return endsClean(request);
      const doubt = findUnexplained(outcome, request, ledger);
      check(
        doubt === undefined,
        "every error has a cause",
        () => `request ${number} for ${nameOf(thread, responseId)} got ${outcome}, but ${doubt}`,
      );
      // Its client did not read on: that says nothing of the answer.
      if (outcome === "client_gone") return;
      const attempt = attempts.find(({ calls }) => calls.some((call) => call.number === callsIn(receivedText)[0]));
      if (attempt && outcome !== "id_conflict" && outcome !== "thread_deleted") stored.failed(attempt);
    },
  };
}
