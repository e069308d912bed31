/** Checks that every error has a cause in the schedule. */
import type { Ending } from "../plan.ts";
import { isSame } from "../records.ts";
import { type ClientRequest, type InstancesLedger, steps, timeouts } from "./ledger.ts";

/** What may also happen to a request while the coordinator, a line, an instance or a clock fails. */
const codesOfFaults = [
  "lease_lost",
  "coordinator_failed",
  "id_conflict",
  "turn_timeout",
  "thread_busy",
  "cursor_gone",
  "client_gone",
  "model_timeout",
];

/** Returns why an outcome has no cause, or `undefined` if it has one. */
export function findUnexplained(outcome: string, request: ClientRequest, ledger: InstancesLedger): string | undefined {
  const { thread, responseId, kind } = request;
  const { requests, clock, plan } = ledger;
  // A resume that failed may have followed any turn of its thread.
  const isIt = (other: { responseId: string }) => responseId === "" || other.responseId === responseId;
  const runs = ledger.runs.filter((run) => isSame(run.thread, thread) && isIt(run));
  const ended = (...endings: Ending[]) => runs.some(({ calls }) => calls.some(({ script }) => endings.includes(script.ending)));
  const sameThread = requests.filter((other) => other !== request && isSame(other.thread, thread));
  const earliest = Math.min(request.startedAt.ms, ...sameThread.filter(isIt).map(({ startedAt }) => startedAt.ms));
  const waited = clock.time - earliest;
  const isFresh = request.attempt === undefined;
  if (outcome === "client_gone" && isFresh && kind === "resume" && clock.time - request.startedAt.ms < timeouts.read - 30)
    return "a resume does not show that others have left";
  if (ledger.hasFault && codesOfFaults.includes(outcome)) return undefined;

  switch (outcome) {
    case "empty":
      return kind === "prompt" ? "a prompt has an answer" : undefined;
    case "accepted":
      return kind === "stop" && clock.time - request.startedAt.ms >= 5000 ? undefined : "there was time left";
    case "model_failed": {
      const isSilent = runs.some(({ calls }) => calls.length > 0 && calls.every(({ script }) => script.pieces === 0));
      return isSilent || ended("close", "cut", "error") ? undefined : "no model call failed";
    }
    case "answer_incomplete":
      return ended("length") || runs.some(({ calls }) => calls.length === steps) ? undefined : "no answer was cut short";
    case "model_timeout":
      return waited >= Math.min(timeouts.firstChunk, timeouts.idle) ? undefined : "no model was slow";
    case "turn_timeout":
      return waited >= timeouts.turn ? undefined : "there was time left";
    case "thread_deleted":
      return ledger.deletions.some((deleted) => isSame(deleted.thread, thread)) ? undefined : "the thread was not deleted";
    case "store_failed":
      return ledger.hasStoreFault ? undefined : "the store did not fail";
    case "thread_busy":
      return sameThread.length > 0 && (plan.concurrency === "reject" || waited >= timeouts.queue) ? undefined : "nothing else ran";
    case "turn_stopped": {
      const isStopped = sameThread.some((other) => other.kind === "stop" && (isIt(other) || other.responseId === ""));
      return isStopped || (plan.concurrency === "interrupt" && sameThread.length > 0) ? undefined : "nobody stopped it";
    }
    case "client_gone": {
      const isLeft = request.hasCursor && sameThread.some((other) => isIt(other) && other.hasDisconnected);
      return isLeft || clock.time - request.readAt >= timeouts.read - 30 ? undefined : "its client did read";
    }
    case "cursor_gone":
      // A turn that enters again replaces a partial answer.
      return request.hasCursor && ledger.entries.filter((entry) => isSame(entry.thread, thread) && isIt(entry)).length > 1
        ? undefined
        : "there was one attempt";
    case "lease_lost":
      if (isFresh && kind === "prompt") return "a prompt that waited enters again";
      return ledger.hasCrash ? undefined : "no instance crashed";
    default:
      return "it should never be shown";
  }
}
