/** One step: calls the model and writes what it says into the log. */
import { ChatHandlerError } from "../core/errors.ts";
import { callModel } from "../model/call-model.ts";
import type { ModelDelta } from "../model/delta.ts";
import { isWholeAnswer } from "../model/finish-reasons.ts";
import type { ModelCall } from "../model/model-call.ts";
import { toModelError } from "../model/to-model-error.ts";
import { Step } from "./step.ts";
import type { TurnState } from "./state.ts";
import { throwIfAborted, type Turn } from "./turn.ts";

/** How long a model that has sent its finish reason may keep sending, in milliseconds: what follows is usage, or a late piece. */
const finishGrace = 2_000;

/** Runs one model call to its end. Throws if it breaks, and if its finish reason does not say that the answer is whole. */
export async function generateStep(turn: Turn): Promise<Step> {
  const { progress, settings, log } = turn;
  if (progress.steps === settings.limits.steps) throw new ChatHandlerError("answer_incomplete", "The model kept calling tools.");
  progress.steps++;
  log.append({ type: "step-start" });
  const step = new Step(log, {
    answerCharacters: settings.limits.answerCharacters,
    usedCharacters: progress.step?.characters ?? 0,
    hasTools: settings.tools !== undefined,
  });
  progress.step = step;
  await streamModel(turn, step);
  if (!step.finishReason) throw new ChatHandlerError("model_failed", "The model's answer broke off.");
  if (!isWholeAnswer(step.finishReason)) {
    throw new ChatHandlerError("answer_incomplete", `The model's answer was cut short: ${step.finishReason}.`);
  }
  log.append({ type: "step-end", finishReason: step.finishReason, usage: step.usage });
  return step;
}

async function streamModel(turn: Turn, step: Step): Promise<void> {
  throwIfAborted(turn);
  const controller = new AbortController();
  const state: Extract<TurnState, { name: "generating" }> = { name: "generating", step, controller, call: undefined };
  turn.state = state;
  const { deadlines, settings } = turn;
  deadlines.expectModel(settings.timeouts.firstChunk);
  try {
    state.call = await startCall(turn, controller);
    // The call is gone when the model has finished and its connection stays open.
    while (state.call) {
      throwIfAborted(turn);
      const { done, value: deltas } = await state.call.next();
      if (done || !state.call) break;
      appendDeltas(turn, step, deltas);
      await waitForReaders(turn);
      if (deltas.length > 0) expectMore(turn, step, deltas);
    }
    throwIfAborted(turn);
  } catch (error) {
    throw toModelError(turn.abortReason ?? error);
  } finally {
    deadlines.expectModel(Infinity);
    state.call?.close();
    state.call = undefined;
  }
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
    if (delta.text) turn.progress.firstTextAt ??= performance.now();
  }
}

/** Holds the model back while every reader is far behind: its connection fills up, and the provider waits. */
async function waitForReaders({ log, deadlines, abortReason }: Turn): Promise<void> {
  if (!log.shouldPause() || abortReason) return;
  deadlines.expectModel(Infinity);
  await log.waitForReaders();
}

function expectMore({ deadlines, settings }: Turn, step: Step, deltas: readonly ModelDelta[]): void {
  if (!step.finishReason) return deadlines.expectModel(settings.timeouts.idle);
  const isAnswer = deltas.some(({ text, toolCalls, finishReason }) => text || toolCalls || finishReason);
  if (isAnswer) deadlines.expectModelSoon(finishGrace);
}
