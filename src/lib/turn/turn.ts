/** A turn: one prompt and everything that answers it. Its functions are in the other files of this folder. */
import type { ChatCompletionCreateParamsStreaming } from "openai/resources/chat/completions";
import type { CompletionUsage } from "openai/resources/completions";
import type { TurnContext } from "../core/context.ts";
import { type ChatHandlerError, createClientGoneError } from "../core/errors.ts";
import { EventLog } from "../core/event-log.ts";
import { reportError } from "../core/report-error.ts";
import type { StoredMessage, ThreadKey } from "../core/store.ts";
import { Deadlines } from "./deadlines.ts";
import type { TurnSettings } from "./settings.ts";
import type { TurnState } from "./state.ts";
import type { Step } from "./step.ts";

/** A message of a completed step, without an id yet. */
export type DraftMessage = Pick<StoredMessage, "message" | "finishReason" | "usage">;

/** A turn that waits, runs or has ended. */
export interface Turn {
  readonly settings: TurnSettings;
  /** Passed to the app's functions, which may change it. Nothing here reads it afterwards. */
  readonly context: TurnContext;
  readonly thread: ThreadKey;
  readonly responseId: string;
  /** The prompt as it is stored. */
  readonly prompt: StoredMessage;
  readonly log: EventLog;
  readonly deadlines: Deadlines;
  state: TurnState;
  /**
   * Why the turn was aborted. A property of its own and not the reason of a signal: in workerd, a request cannot use the signals of
   * another request.
   */
  abortReason: ChatHandlerError | undefined;
  /** Whether the prompt is stored and this turn answers it. From here on the app hears of the turn's end. */
  isStarted: boolean;
  readonly progress: TurnProgress;
}

/** What a turn has done so far. */
export interface TurnProgress {
  /** What the model is asked next. Gone once it is sent, unless tools need it for the step after: a thread may be long. */
  request: ChatCompletionCreateParamsStreaming | undefined;
  /** Model calls. */
  steps: number;
  /** The step that is generated, or the last one. */
  step: Step | undefined;
  /** Tool calls and their results. */
  completedSteps: DraftMessage[];
  usageOfCompletedSteps: CompletionUsage | undefined;
  /** By `performance.now()`. */
  enteredAt: number;
  startedAt: number | undefined;
  firstTextAt: number | undefined;
  /** Settles when the app's title is stored. */
  title: Promise<void> | undefined;
}

/** Creates a turn that has not entered a queue. `onAbort` is called once, when it is aborted. */
export function createTurn(context: TurnContext, settings: TurnSettings, onAbort: () => void): Turn {
  const { owner, threadId, responseId } = context;
  const { id, ...message } = context.prompt;
  const turn: Turn = {
    settings,
    context,
    thread: { owner, threadId },
    responseId,
    prompt: { id, promptId: id, message, status: "complete", createdAt: settings.now() },
    log: new EventLog(() => abort(createClientGoneError())),
    deadlines: new Deadlines(settings.timeouts, () => turn.state, abort),
    state: { name: "queued" },
    abortReason: undefined,
    isStarted: false,
    progress: {
      request: undefined,
      steps: 0,
      step: undefined,
      completedSteps: [],
      usageOfCompletedSteps: undefined,
      enteredAt: performance.now(),
      startedAt: undefined,
      firstTextAt: undefined,
      title: undefined,
    },
  };

  function abort(reason: ChatHandlerError): void {
    if (!turn.abortReason) onAbort();
    abortTurn(turn, reason);
  }

  return turn;
}

/** Aborts what the turn is doing. A commit is not interrupted. */
export function abortTurn(turn: Turn, reason: ChatHandlerError): void {
  turn.abortReason ??= reason;
  const { state } = turn;
  switch (state.name) {
    case "preparing":
    case "runningTools":
      state.controller.abort(reason);
      break;
    case "generating":
      state.controller.abort(reason);
      state.call?.close();
      break;
    case "queued":
    case "committing":
    case "ended":
      break;
  }
  turn.log.wakeWriter();
}

/** Throws if the turn was aborted. Call it before anything that costs. */
export function throwIfAborted(turn: Turn): void {
  if (turn.abortReason) throw turn.abortReason;
}

/** Reports an error of the turn to the app. */
export function reportTurnError(turn: Turn, error: unknown): void {
  reportError(turn.settings.onError, error, turn.context);
}
