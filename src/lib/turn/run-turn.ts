/** The life of a turn, from its place in the queue to its answer in the store. */
import type { Lease, Ticket } from "../core/coordinator.ts";
import { ChatHandlerError, toChatHandlerError } from "../core/errors.ts";
import type { MessageStatus } from "../core/store.ts";
import { toTurnEvents } from "../history/turn-events.ts";
import { acquireThread, storePrompt } from "./acquire.ts";
import { commitAnswer, storePartialAnswer } from "./commit.ts";
import { type ExistingTurn, loadExistingTurn } from "./existing-turn.ts";
import { generateStep } from "./generate.ts";
import { notifyTurnEnd } from "./notify-end.ts";
import { prepareModelRequest } from "./prepare.ts";
import { runTools } from "./run-tools.ts";
import type { Step } from "./step.ts";
import { storeGeneratedTitle } from "./title.ts";
import { reportTurnError, type Turn } from "./turn.ts";

/**
 * Runs a turn. Never rejects: everything that goes wrong becomes the end of its log. Resolves when the answer is stored, the thread is free for
 * the next turn, and the app's functions have finished.
 */
export async function runTurn(turn: Turn, ticket: Ticket): Promise<void> {
  let lease: Lease | undefined;
  let error: ChatHandlerError | undefined;
  try {
    const acquired = await acquireThread(turn, ticket);
    if (acquired.kind === "answered") {
      replay(turn, acquired.existing);
    } else {
      lease = acquired.lease;
      await answerPrompt(turn, lease, acquired.wasThreadKnown);
    }
  } catch (thrown) {
    error = toChatHandlerError(thrown);
    ticket.refuseJoins();
  }
  const status: MessageStatus = !error ? "complete" : error.code === "client_gone" ? "stopped" : "failed";
  if (error) {
    if (turn.isStarted) await storePartialAnswer(turn, status);
    reportTurnError(turn, error);
  }
  turn.deadlines.stop();
  turn.state = { name: "ended" };
  turn.log.append({ type: "end", status, error });
  if (lease) lease.release();
  else ticket.leave();
  if (turn.isStarted) {
    await notifyTurnEnd(turn, status, error);
    await turn.progress.title;
  }
}

/** Replays the answer of a turn that cannot wait, if the store has the whole answer. Returns whether it has. */
export async function replayIfComplete(turn: Turn): Promise<boolean> {
  const existing = await loadExistingTurn(turn, { last: turn.settings.history.maxMessages });
  if (existing.state !== "complete") return false;
  replay(turn, existing);
  turn.log.append({ type: "end", status: "complete" });
  return true;
}

async function answerPrompt(turn: Turn, lease: Lease, wasThreadKnown: boolean): Promise<void> {
  turn.progress.startedAt = performance.now();
  turn.deadlines.start();
  const isAnswered = await prepareOrReplay(turn, lease, wasThreadKnown);
  if (isAnswered) return;
  let step: Step;
  do {
    step = await generateStep(turn);
  } while (await runTools(turn, step));
  if (turn.log.textFrom(0) === "") throw new ChatHandlerError("model_failed", "The model sent no text.");
  await commitAnswer(turn, step);
}

/** Returns whether the answer was there. A function of its own: the history that it reads is free while the model answers. */
async function prepareOrReplay(turn: Turn, lease: Lease, wasThreadKnown: boolean): Promise<boolean> {
  const existing = await storePrompt(turn, wasThreadKnown);
  if (existing.state === "complete") {
    replay(turn, existing);
    return true;
  }
  turn.isStarted = true;
  lease.markStarted();
  const isFirstPrompt = existing.count === (existing.hasPrompt ? 1 : 0);
  if (isFirstPrompt) turn.progress.title = storeGeneratedTitle(turn);
  await prepareModelRequest(turn, existing.before);
  return false;
}

function replay({ log }: Turn, { answer }: ExistingTurn): void {
  for (const event of toTurnEvents(answer)) log.append(event);
}
