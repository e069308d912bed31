/** What clients may be shown, and how it may end. */
import { whyNot } from "./explanations.ts";
import { type Ledger, textOfAttempt } from "./ledger.ts";
import { type ChatRequest, callsIn, isBeginning, isSame, nameOf, type Whole } from "./records.ts";
import type { StoredRules } from "./stored-rules.ts";

/** The rules of the clients. */
export interface ShownRules {
  /** A client got text. */
  shows(request: ChatRequest): void;
  /** A client's answer has ended: `"clean"`, or the code of its error. */
  ends(request: ChatRequest, outcome: string): void;
  /** A client has left, and all is settled: its prompt must be stored, if nothing kept the handler from it. */
  left(request: ChatRequest): void;
}

export function createShownRules(ledger: Ledger, stored: StoredRules): ShownRules {
  const { mirror, requests, concurrency, attempts, schedule, wholes, deletedWholes, unless, happened, attemptsAt } = ledger;

  const endsClean = ({ thread, promptId, content, responseId, shown, startedAt }: ChatRequest) => {
    const whole = wholes.get(nameOf(thread, responseId));
    if (whole) whole.isTold = true;
    const isIt = (other: Whole) => other.responseId === responseId && isSame(other.thread, thread);
    const gone = happened(thread, startedAt.step, "deletion") ? deletedWholes.filter(isIt) : [];
    const texts = [whole, ...gone].flatMap((whole) => whole?.texts ?? []);
    const detail = () =>
      `${nameOf(thread, responseId)} showed ${JSON.stringify(shown.slice(-200))}, stored is ${JSON.stringify(whole ?? "nothing whole")}`;
    const asked = mirror.find(thread, promptId);
    const isItsOwn = !asked || gone.length > 0 || (asked.stored.message.content === content && (whole?.promptId ?? promptId) === promptId);
    unless(isItsOwn, "an answer is shown to its own prompt alone", detail);
    unless(texts.includes(shown), "after a clean end, exactly that text is stored, complete", detail);
  };

  return {
    left(request) {
      const { number, process, thread, promptId, responseId, startedAt } = request;
      const isTold = requests.some(
        (other) =>
          other.process === process && other.responseId === responseId && isSame(other.thread, thread) && other.outcome === "thread_busy",
      );
      const hindrances = ["store_failed", "id_conflict", "thread_deleted", ...(isTold || concurrency === "reject" ? ["thread_busy"] : [])];
      const isHindered = hindrances.some((code) => whyNot(code, request, ledger) === undefined);
      const isStored = mirror.find(thread, promptId) !== undefined;
      unless(
        isStored || isHindered || process.isDead,
        "the prompt of a client that left is stored",
        () => `request ${number}, since ${startedAt.step}`,
      );
    },

    shows({ thread, responseId, shown }) {
      const said = attemptsAt(thread, responseId).map(textOfAttempt);
      const kept = [...wholes.values(), ...deletedWholes].filter(
        (whole) => whole.responseId === responseId && isSame(whole.thread, thread),
      );
      const isSaid = [...said, ...kept.flatMap(({ texts }) => texts)].some((text) => isBeginning(shown, text));
      unless(
        isSaid,
        "what is shown is the beginning of what the model said",
        () => `${nameOf(thread, responseId)} shows ${JSON.stringify(shown.slice(-200))}`,
      );
    },

    ends(request, outcome) {
      request.outcome = outcome;
      if (request.hasLeft) return;
      const { number, thread, responseId, shown } = request;
      schedule.note(`request ${number} ended: ${outcome}`);
      if (outcome === "clean") return endsClean(request);
      const doubt = whyNot(outcome, request, ledger);
      unless(
        doubt === undefined,
        "every error has its cause",
        () => `request ${number} for ${nameOf(thread, responseId)} got ${outcome}, but ${doubt}`,
      );
      const attempt = attempts.find(({ calls }) => calls.some((call) => call.number === callsIn(shown)[0]));
      if (attempt && outcome !== "id_conflict" && outcome !== "thread_deleted") stored.failed(attempt);
    },
  };
}
