/** The beginning of a turn: from its place in the queue to the request for the model. */
import type { QueueTicket } from "../core/turn-registry.ts";
import { toTurnEvents } from "../history/turn-events.ts";
import { acquireThread, storePrompt } from "./acquire.ts";
import { type ExistingTurn, loadRecentTurn } from "./existing-turn.ts";
import { prepareModelRequest } from "./prepare.ts";
import type { Turn } from "./turn.ts";

/**
 * Waits for the thread, stores the prompt, and prepares the request for the model. Returns whether the turn was answered before: then its answer is
 * replayed.
 */
export async function beginTurn(turn: Turn, ticket: QueueTicket): Promise<boolean> {
  const { lease, answered } = await acquireThread(turn, ticket);
  if (answered) return replay(turn, answered);
  turn.progress.startedAt = performance.now();
  turn.deadlines.start();
  const existing = await storePrompt(turn);
  if (existing.state === "complete") return replay(turn, existing);
  turn.isStarted = true;
  lease?.markStarted();
  turn.progress.needsTitle = existing.isFirst && turn.settings.generateTitle !== undefined;
  await prepareModelRequest(turn, existing.before);
  return false;
}

/** Replays the answer of a turn that may not wait, if the store has the whole answer. Returns whether it has. */
export async function replayIfComplete(turn: Turn): Promise<boolean> {
  const existing = await loadRecentTurn(turn);
  if (existing.state !== "complete") return false;
  replay(turn, existing);
  turn.log.append({ type: "end", status: "complete" });
  return true;
}

function replay({ log }: Turn, { answer }: ExistingTurn): true {
  const attempt = answer.at(-1)?.attempt ?? log.attempt;
  log.attempt = attempt;
  for (const event of toTurnEvents(answer)) log.append(event.type === "step-start" ? { ...event, attempt } : event);
  return true;
}
