/** A turn: one prompt and everything that answers it. What it does is in the other files of this folder. */
import type { ChatCompletionCreateParamsStreaming } from "openai/resources/chat/completions";
import type { CompletionUsage } from "openai/resources/completions";
import type { TurnContext } from "../core/context.ts";
import type { LocalTurn, QueueTicket } from "../core/turn-registry.ts";
import { type ChatHandlerError, createClientGoneError, createLeaseLostError } from "../core/errors.ts";
import { EventLog, type EventLogOwner } from "../core/event-log.ts";
import { reportError } from "../core/report-error.ts";
import { isolatesRequests } from "../core/runtime.ts";
import type { StoredMessage, ThreadKey } from "../core/store.ts";
import { Deadlines, type DeadlinesOwner } from "./deadlines.ts";
import type { TurnSettings } from "./settings.ts";
import type { TurnState } from "./state.ts";
import type { Step } from "./step.ts";

/** A message of a completed step, without an id yet. */
export type DraftMessage = Pick<StoredMessage, "message" | "finishReason" | "usage">;

/** A title that the app generates. */
interface TitleWork {
  controller: AbortController;
  /** Settles when the title is stored, or given up. Never rejects. */
  finished: Promise<void>;
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
  /** Whether the thread had messages when it was looked at, or while the turn waited. If it has none later, it was deleted. */
  wasThreadKnown: boolean;
  /** By `performance.now()`. */
  enteredAt: number;
  startedAt: number | undefined;
  firstTextAt: number | undefined;
  /** Whether the app's title is generated once there is text. */
  needsTitle: boolean;
  title: TitleWork | undefined;
  /** Settles when the app has been notified of the end, and the title is stored. */
  notified: Promise<void> | undefined;
}

/** A turn that waits, runs or has ended. Every open stream has one, and a class costs less memory than closures. */
export class Turn implements LocalTurn, EventLogOwner, DeadlinesOwner {
  readonly settings: TurnSettings;
  /** Passed to the app's functions, which may change it. */
  readonly context: TurnContext;
  readonly thread: ThreadKey;
  readonly responseId: string;
  /** The prompt as it is stored. */
  readonly prompt: StoredMessage;
  readonly log: EventLog;
  readonly deadlines: Deadlines;
  state: TurnState = { name: "queued" };
  /** Its place in the queue. `undefined` before it has entered. */
  ticket: QueueTicket | undefined;
  /**
   * Why it was aborted. A property of its own and not the reason of a signal: in workerd, a request cannot use the signals of another
   * request.
   */
  abortReason: ChatHandlerError | undefined;
  /** Interrupts the turn from its own request. Only where another request cannot: the promise costs 450 bytes in every open stream. */
  #interruptFromOwnRequest: (() => void) | undefined;
  /** Runs while nobody reads and the turn may still find a reader. */
  #graceTimer: ReturnType<typeof setTimeout> | undefined;
  /** Whether its prompt is stored and it answers that prompt. From here on the app hears of its end. */
  isStarted = false;
  readonly progress: TurnProgress = {
    request: undefined,
    steps: 0,
    step: undefined,
    completedSteps: [],
    usageOfCompletedSteps: undefined,
    wasThreadKnown: false,
    enteredAt: performance.now(),
    startedAt: undefined,
    firstTextAt: undefined,
    needsTitle: false,
    title: undefined,
    notified: undefined,
  };

  constructor(context: TurnContext, settings: TurnSettings) {
    const { owner, threadId, responseId } = context;
    const { id, ...message } = context.prompt;
    this.settings = settings;
    this.context = context;
    this.thread = { owner, threadId };
    this.responseId = responseId;
    this.prompt = { id, promptId: id, message, status: "complete", createdAt: settings.now() };
    this.log = new EventLog(this);
    this.deadlines = new Deadlines(settings.timeouts, this);
    if (isolatesRequests) {
      const { promise, resolve } = Promise.withResolvers<void>();
      this.#interruptFromOwnRequest = resolve;
      void promise.then(() => this.#interrupt());
    }
  }

  /** Aborts what the turn is doing, and ends new joins. A commit is not interrupted. */
  abort(reason: ChatHandlerError): void {
    this.abortReason ??= reason;
    this.ticket?.refuseJoins();
    if (this.#interruptFromOwnRequest) this.#interruptFromOwnRequest();
    else this.#interrupt();
    this.log.wakeWriter();
  }

  #interrupt(): void {
    const reason = this.abortReason;
    this.progress.title?.controller.abort(reason);
    const { state } = this;
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
  }

  /** Throws if the turn was aborted. Call it before anything that costs. */
  throwIfAborted(): void {
    if (this.abortReason) throw this.abortReason;
  }

  /** Reports an error to the app. */
  report(error: unknown): void {
    reportError(this.settings.onError, error, this.context);
  }

  /** Throws if another instance has the thread now. Call it before each write to the store. */
  async throwUnlessItMayWrite(): Promise<void> {
    const { ticket } = this;
    if (!ticket) return;
    const mayWrite = ticket.mayWrite();
    if (mayWrite === true || (await mayWrite)) return;
    throw createLeaseLostError();
  }

  /** The last reader has left. */
  onAbandoned(): void {
    const { disconnect } = this.settings;
    if (disconnect === "continue") return;
    if (disconnect === "stop") return this.#abortUnlessRead();
    clearTimeout(this.#graceTimer);
    this.#graceTimer = setTimeout(() => this.#abortUnlessRead(), disconnect.graceMs);
  }

  /** Ends the wait for a reader. */
  stopWaitingForReaders(): void {
    clearTimeout(this.#graceTimer);
    this.#graceTimer = undefined;
  }

  #abortUnlessRead(): void {
    if (this.log.hasReaders || this.state.name === "ended") return;
    const isClosed = this.ticket?.refuseJoinsUnlessFollowed() ?? true;
    if (isClosed === true) return this.abort(createClientGoneError());
    // A reader may have come before it was closed.
    void Promise.resolve(isClosed).then((closed) => closed && !this.log.hasReaders && this.abort(createClientGoneError()));
  }
}
