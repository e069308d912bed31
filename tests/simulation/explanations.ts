/** Checks that every error has a cause in the schedule: a handler must not fail without a reason. */
import type { Ledger } from "./ledger.ts";
import type { Ending } from "./plan.ts";
import { type ChatRequest, type Incident, isSame } from "./records.ts";

/** The handler's timeouts, in milliseconds. */
export const timeouts = { store: 1000, firstChunk: 3000, idle: 2000, queue: 9000, turn: 20_000, read: 5000 };

/** The handler's `limits.steps`. */
export const steps = 3;

/** Returns why an error has no cause, or `undefined` if it has one. */
export function findUnexplained(
  code: string,
  request: ChatRequest,
  { requests, attemptsAt, attempts: all, happened: happenedTo, concurrency }: Ledger,
): string | undefined {
  const { thread, promptId, responseId, content, process } = request;
  const sameThread = requests.filter((other) => isSame(other.thread, thread));
  const joined = sameThread.filter((other) => other.responseId === responseId && other.process === process);
  const earliest = joined.reduce((first, other) => (other.startedAt.step < first.startedAt.step ? other : first), request).startedAt;
  const happened = (...kinds: Incident["kind"][]) => happenedTo(thread, earliest.step, ...kinds);
  const attempts = attemptsAt(thread, responseId);
  const ended = (...endings: Ending[]) => attempts.some(({ calls }) => calls.some(({ script }) => endings.includes(script.ending)));
  const waited = performance.now() - earliest.ms;

  switch (code) {
    case "model_failed": {
      const isSilent = attempts.some(({ calls }) => calls.length > 0 && calls.every(({ script }) => script.pieces === 0));
      return isSilent || ended("close", "cut", "error", "garbage", "refuse", "unreachable") ? undefined : "no model call failed";
    }
    case "rate_limited":
      return ended("busy") ? undefined : "no provider was busy";
    case "answer_incomplete":
      return ended("length", "content_filter") || attempts.some(({ calls }) => calls.length === steps)
        ? undefined
        : "no answer was cut short";
    case "model_timeout":
      return attempts.length > 0 && waited >= Math.min(timeouts.firstChunk, timeouts.idle) ? undefined : "no model was slow";
    case "turn_timeout":
      return waited >= timeouts.turn ? undefined : "there was time left";
    case "store_failed":
      return happened("store fault") ? undefined : "the store did not fail";
    case "thread_busy": {
      const isOther = sameThread.some(
        (other) => other !== request && other.process === process && other.startedAt.step <= request.startedAt.step,
      );
      return isOther && (concurrency === "reject" || waited >= timeouts.queue) ? undefined : "nothing else ran for so long";
    }
    case "id_conflict":
    case "thread_deleted": {
      const isClash = sameThread.some(
        (other) =>
          (other.responseId === responseId) !== (other.promptId === promptId) || (other.promptId === promptId && other.content !== content),
      );
      const isRaced = all.some((other) => other.process !== process && other.promptId === promptId && isSame(other.thread, thread));
      return isClash || isRaced || happened("deletion", "late write") ? undefined : "its ids named nothing else";
    }
    case "client_gone":
      // What it read last may have waited out the flush interval, 30 ms at most.
      return performance.now() - request.readAt >= timeouts.read - 30 ? undefined : "its client did read";
    default:
      return "it should never be shown";
  }
}
