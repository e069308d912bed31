/** The life of a turn, from its place in the queue to its answer in the store. */
import type { QueueTicket } from "../core/turn-registry.ts";
import { type ChatHandlerError, toChatHandlerError } from "../core/errors.ts";
import type { MessageStatus } from "../core/store.ts";
import { beginTurn } from "./begin-turn.ts";
import { commitAnswer, storePartialAnswer } from "./commit.ts";
import { generateStep } from "./generate.ts";
import { notifyTurnEnd } from "./notify-end.ts";
import { runTools } from "./run-tools.ts";
import type { Turn } from "./turn.ts";

/**
 * Runs a turn. Never rejects: everything that goes wrong becomes the end of its log. Resolves when the answer is stored and the thread is free for
 * the next turn. `turn.progress.notified` resolves when the app's functions have finished, too.
 */
export async function runTurn(turn: Turn, ticket: QueueTicket): Promise<void> {
  turn.ticket = ticket;
  let error: ChatHandlerError | undefined;
  try {
    const isAnswered = await beginTurn(turn, ticket);
    let needsStep = !isAnswered;
    while (needsStep) {
      await generateStep(turn);
      needsStep = await runTools(turn);
    }
    if (!isAnswered) await commitAnswer(turn);
  } catch (thrown) {
    error = toChatHandlerError(thrown);
  }
  const status = statusOf(error);
  if (error) {
    ticket.refuseJoins();
    // Whoever has the lease now decides what is stored.
    if (error.code !== "lease_lost") await storePartialAnswer(turn, status, error);
    turn.report(error);
  }
  turn.deadlines.stop();
  turn.stopWaitingForReaders();
  turn.state = { name: "ended" };
  turn.log.append({ type: "end", status, error });
  const left = ticket.leave();
  if (left) await left;
  if (turn.isStarted) turn.progress.notified = notify(turn, status, error);
}

async function notify(turn: Turn, status: MessageStatus, error: ChatHandlerError | undefined): Promise<void> {
  await notifyTurnEnd(turn, status, error);
  await turn.progress.title?.finished;
}

function statusOf(error: ChatHandlerError | undefined): MessageStatus {
  if (!error) return "complete";
  return error.code === "client_gone" || error.code === "turn_stopped" ? "stopped" : "failed";
}
