/** One step: calls the model and writes what it says into the log. */
import { ChatHandlerError } from "../core/errors.ts";
import type { TurnEvent } from "../core/events.ts";
import { callModel } from "../model/call-model.ts";
import type { ModelDelta } from "../model/delta.ts";
import { isWholeAnswer } from "../model/finish-reasons.ts";
import type { ModelCall } from "../model/model-call.ts";
import { toModelError } from "../model/to-model-error.ts";
import { Step } from "./step.ts";
import type { TurnState } from "./state.ts";
import { startTitle } from "./title.ts";
import type { Turn } from "./turn.ts";

/** How long a model that has sent its finish reason may keep sending, in milliseconds: what follows is usage, or a late piece. */
const finishGrace = 2_000;

const stepStart: TurnEvent = { type: "step-start" };

/** Runs one model call to its end. Throws if it breaks, and if its finish reason does not say that the answer is whole. */
export async function generateStep(turn: Turn): Promise<void> {
  const step = startStep(turn);
  const controller = new AbortController();
  const state: Extract<TurnState, { name: "generating" }> = { name: "generating", step, controller, call: undefined };
  turn.state = state;
  const { deadlines, settings } = turn;
  deadlines.expectModel(settings.timeouts.firstChunk);
  try {
    state.call = await startCall(turn, controller);
    // The call is gone when the model has finished and its connection stays open.
    while (state.call) {
      turn.throwIfAborted();
      const { done, value: deltas } = await state.call.next();
      if (done || !state.call) break;
      appendDeltas(turn, step, deltas);
      while (turn.log.shouldPause() && !turn.abortReason) await waitForReaders(turn);
      if (deltas.length > 0) expectMore(turn, step, deltas);
    }
    turn.throwIfAborted();
  } catch (error) {
    throw toModelError(turn.abortReason ?? error);
  } finally {
    deadlines.expectModel(Infinity);
    state.call?.close();
    state.call = undefined;
  }
  checkFinishReason(step);
  turn.log.append({ type: "step-end", finishReason: step.finishReason, usage: step.usage });
}

function startStep(turn: Turn): Step {
  turn.throwIfAborted();
  const { progress, settings, log } = turn;
  if (progress.steps === settings.limits.steps) throw new ChatHandlerError("answer_incomplete", "The model kept calling tools.");
  progress.steps++;
  log.append(stepStart);
  progress.step = new Step(log, settings, progress.step?.characters ?? 0);
  return progress.step;
}

/** Not async: a suspended function would keep the request while the model answers. */
function startCall({ progress, settings }: Turn, controller: AbortController): Promise<ModelCall> {
  const { request } = progress;
  if (!request) throw new Error("The turn has no request.");
  if (!settings.tools) progress.request = undefined;
  return callModel(settings.client, request, controller);
}

function appendDeltas(turn: Turn, step: Step, deltas: readonly ModelDelta[]): void {
  for (const delta of deltas) {
    step.append(delta);
    if (delta.text && turn.progress.firstTextAt === undefined) {
      turn.progress.firstTextAt = performance.now();
      if (turn.progress.needsTitle) startTitle(turn);
    }
  }
}

/** Holds the model back while every reader is far behind: its connection fills up, and the provider waits. */
function waitForReaders({ log, deadlines }: Turn): Promise<void> {
  deadlines.expectModel(Infinity);
  return log.waitForReaders();
}

function expectMore({ deadlines, settings }: Turn, step: Step, deltas: readonly ModelDelta[]): void {
  if (!step.finishReason) return deadlines.expectModel(settings.timeouts.idle);
  const isAnswer = deltas.some(({ text, toolCalls, finishReason }) => text || toolCalls || finishReason);
  if (isAnswer) deadlines.expectModelSoon(finishGrace);
}

function checkFinishReason({ finishReason }: Step): void {
  if (!finishReason) throw new ChatHandlerError("model_failed", "The model's answer broke off.");
  if (!isWholeAnswer(finishReason)) {
    throw new ChatHandlerError("answer_incomplete", `The model's answer was cut short: ${finishReason}.`);
  }
}
