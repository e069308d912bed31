/** One step: calls the model and writes its text into the log. */
import type { ChatCompletionCreateParamsStreaming as ModelRequest } from "openai/resources/chat/completions";
import { ChatHandlerError } from "../core/errors.ts";
import type { TurnEvent } from "../core/events.ts";
import { omitSuspects } from "../history/refusals.ts";
import { type CallOptions, callModel } from "../model/call-model.ts";
import type { ModelDelta } from "../model/delta.ts";
import type { ModelCall } from "../model/model-call.ts";
import { ConnectionLostError, isRefusal, toModelError } from "../model/provider-error.ts";
import { isPiece, Step } from "./step.ts";
import type { TurnState } from "./state.ts";
import { startTitle } from "./title.ts";
import type { Turn } from "./turn.ts";

/** How long a model that has sent its finish reason may keep sending, in milliseconds: what follows is usage, or a late piece. */
const finishGrace = 2_000;
/** The same for a provider whose finish reasons come too early: each piece may be followed by another. */
const earlyFinishGrace = 5_000;

const stepStart: TurnEvent = { type: "step-start" };

/** Runs one model call to its end. Throws if it breaks, and if its finish reason does not mean that the answer is whole. */
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
      let isNews = step.finish === undefined || deltas.some(isPiece);
      appendDeltas(turn, step, deltas);
      while (turn.log.shouldPause() && !turn.abortReason) {
        await waitForReaders(turn);
        isNews = true;
      }
      if (deltas.length > 0 && isNews) expectMore(turn, step);
    }
    turn.throwIfAborted();
  } catch (error) {
    if (turn.abortReason || !isEndOfWholeAnswer(error, step)) throw toModelError(turn.abortReason ?? error);
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

/** Some providers close their connection after the finish reason. One that sent it too early may have been cut off in its answer. */
function isEndOfWholeAnswer(error: unknown, { finish, isFinishEarly }: Step): boolean {
  return error instanceof ConnectionLostError && finish !== undefined && !isFinishEarly;
}

/** Not async: a suspended function would keep the request while the model answers. */
function startCall(turn: Turn, controller: AbortController): Promise<ModelCall> {
  const { progress, settings } = turn;
  const { request } = progress;
  if (!request) throw new Error("The turn has no request.");
  if (!settings.tools) progress.request = undefined;
  const options = { controller, answerCharacters: settings.limits.answerCharacters };
  return callModel(settings.client, request, options).catch((error: unknown) => retryRefused(turn, request, options, error));
}

/** Sends a refused request once more, without what may be the cause and is not the prompt. */
function retryRefused(turn: Turn, request: ModelRequest, options: CallOptions, error: unknown): Promise<ModelCall> {
  const { progress, settings, deadlines } = turn;
  const messages = !turn.abortReason && isRefusal(toModelError(error)) ? omitSuspects(request.messages) : undefined;
  if (!messages) throw error;
  const lean = { ...request, messages };
  if (settings.tools) progress.request = lean;
  deadlines.expectModel(settings.timeouts.firstChunk);
  return callModel(settings.client, lean, options);
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

/** After a finish reason only pieces of the answer give the model more time: keep-alives and usage do not. */
function expectMore({ deadlines, settings }: Turn, { finish, isFinishEarly }: Step): void {
  if (!finish) deadlines.expectModel(settings.timeouts.idle);
  else deadlines.expectModelSoon(isFinishEarly ? earlyFinishGrace : finishGrace);
}

/** The message has a known word only. Any other word of the provider is for the app's log. */
function checkFinishReason({ finish }: Step): void {
  if (!finish) throw new ChatHandlerError("model_failed", "The model's answer broke off.");
  if (finish.isWhole) return;
  const { word, unknownWord } = finish;
  const cause = unknownWord && new Error(`The provider sent the finish reason ${unknownWord}.`);
  const reason = unknownWord ? "" : `: ${word}`;
  throw new ChatHandlerError("answer_incomplete", `The model's answer was cut short${reason}.`, { cause });
}
