/** What happens to a request when it arrives: it joins the turn it belongs to, waits its time or is refused, and its pace is the model's. */
import { timeouts } from "./explanations.ts";
import type { Ledger } from "./ledger.ts";
import { type Call, type ChatRequest, isSame, nameOf, type Process } from "./records.ts";
import { longestPiece } from "./script-text.ts";

/** The rules of arrival. */
export interface ArrivalRules {
  /** A request is about to be handled. */
  arrives(request: ChatRequest): void;
  /** A turn is taken up. */
  begins(request: Pick<ChatRequest, "process" | "thread" | "responseId">): void;
  /** Holds between any two steps. */
  check(): void;
}

/** What a turn may hold of text that nobody has read, in characters: what the handler reads ahead, and the piece that made it too much. */
const mostUnread = 64 * 1024 + longestPiece;

/** How long a request may wait for its turn to be taken up, in milliseconds: in line, and for the store. */
const longestWait = timeouts.queue + 6 * timeouts.store;

export function createArrivalRules({ requests, calls, attempts, concurrency, unless }: Ledger): ArrivalRules {
  let joined: { process: Process; turns: number; name: string } | undefined;
  /** Requests that came while the model was answering another one. */
  const refused = new Set<ChatRequest>();

  const speaking =
    (process: Process) =>
    ({ isOpen, isFinished, attempt }: Call) =>
      isOpen && !isFinished && attempt.process === process;

  return {
    arrives(request) {
      const { process, thread, promptId, responseId } = request;
      const running = calls.filter(speaking(process)).filter(({ attempt }) => isSame(attempt.thread, thread));
      const isRunning = running.some(({ attempt }) => attempt.responseId === responseId && attempt.promptId === promptId);
      if (isRunning) joined = { process, turns: process.turnsBegun, name: nameOf(thread, responseId) };
      if (running.some(({ attempt }) => attempt.responseId !== responseId)) refused.add(request);
    },

    begins({ process, thread, responseId }) {
      if (concurrency === "queue") return;
      const askers = requests.filter(
        (other) => other.process === process && other.responseId === responseId && isSame(other.thread, thread),
      );
      const isAdmitted = askers.some((request) => !refused.has(request));
      unless(isAdmitted, "a busy thread refuses, where it was told to", () => nameOf(thread, responseId));
    },

    check() {
      if (joined) {
        const { process, turns, name } = joined;
        unless(process.turnsBegun === turns, "a running answer is joined", () => name);
        joined = undefined;
      }
      const now = performance.now();
      for (const { number, process, thread, responseId, startedAt, isAnswered } of requests) {
        if (isAnswered || process.isDead || now - startedAt.ms <= longestWait) continue;
        const isUp = attempts.some(
          (attempt) => attempt.process === process && attempt.responseId === responseId && isSame(attempt.thread, thread) && !attempt.ended,
        );
        unless(isUp, "nobody waits in line for ever", () => `request ${number}`);
      }
      for (const call of calls) {
        const { said, isOpen, attempt } = call;
        if (!isOpen || attempt.process.isDead) continue;
        const { process, thread, responseId } = attempt;
        const readers = requests.filter(
          (request) => request.process === process && request.responseId === responseId && isSame(request.thread, thread),
        );
        const read = Math.max(0, ...readers.map(({ shown }) => shown.length));
        const before = attempt.calls.slice(0, attempt.calls.indexOf(call)).reduce((sum, { text }) => sum + text.length, 0);
        unless(
          before + said - read <= mostUnread,
          "the model waits for its readers",
          () => `${before + said - read} characters of ${nameOf(thread, responseId)} are unread`,
        );
      }
    },
  };
}
