/** Rules for arriving requests: a request joins its turn, waits, or is rejected, and a slow client slows the model down. */
import { timeouts } from "./explanations.ts";
import type { Ledger } from "./ledger.ts";
import { type Call, type ChatRequest, isSame, nameOf, type Process } from "./records.ts";
import { longestPiece } from "./script-text.ts";

/** The rules. */
export interface ArrivalRules {
  /** Called before a request is handled. */
  arrives(request: ChatRequest): void;
  /** Called when a turn stores its prompt. */
  turnStarts(request: Pick<ChatRequest, "process" | "thread" | "responseId">): void;
  /** Checks what must be true after each step. */
  check(): void;
}

/** Most unread characters of a turn: the read-ahead of the handler, and one more piece. */
const maxUnread = 64 * 1024 + longestPiece;

/** How long a request may wait until its prompt is stored, in milliseconds: in the queue, and for the store. */
const maxWait = timeouts.queue + 6 * timeouts.store;

export function createArrivalRules({ requests, calls, attempts, concurrency, check }: Ledger): ArrivalRules {
  let joined: { process: Process; turns: number; name: string } | undefined;
  /** Requests that arrived while the model answered another one. */
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

    turnStarts({ process, thread, responseId }) {
      if (concurrency === "queue") return;
      const askers = requests.filter(
        (other) => other.process === process && other.responseId === responseId && isSame(other.thread, thread),
      );
      const isAdmitted = askers.some((request) => !refused.has(request));
      check(isAdmitted, 'a busy thread rejects a prompt under "reject"', () => nameOf(thread, responseId));
    },

    check() {
      if (joined) {
        const { process, turns, name } = joined;
        check(process.turnsBegun === turns, "a running answer is joined", () => name);
        joined = undefined;
      }
      const now = performance.now();
      for (const { number, process, thread, responseId, startedAt, isAnswered } of requests) {
        if (isAnswered || process.isDead || now - startedAt.ms <= maxWait) continue;
        const isUp = attempts.some(
          (attempt) => attempt.process === process && attempt.responseId === responseId && isSame(attempt.thread, thread) && !attempt.ended,
        );
        check(isUp, "no request waits in the queue forever", () => `request ${number}`);
      }
      for (const call of calls) {
        const { sentCharacters, isOpen, attempt } = call;
        if (!isOpen || attempt.process.isDead) continue;
        const { process, thread, responseId } = attempt;
        const readers = requests.filter(
          (request) => request.process === process && request.responseId === responseId && isSame(request.thread, thread),
        );
        const read = Math.max(0, ...readers.map(({ receivedText }) => receivedText.length));
        const before = attempt.calls.slice(0, attempt.calls.indexOf(call)).reduce((sum, { text }) => sum + text.length, 0);
        check(
          before + sentCharacters - read <= maxUnread,
          "the model is paused for slow clients",
          () => `${before + sentCharacters - read} characters of ${nameOf(thread, responseId)} are unread`,
        );
      }
    },
  };
}
