/** The life of one turn: from its place in the thread's line to its answer in the store. */
import type { ChatCompletionCreateParamsStreaming } from "openai/resources/chat/completions";
import type { CompletionUsage } from "openai/resources/completions";
import { Answer } from "./answer.ts";
import { unlessAborted, within } from "../core/async.ts";
import { conflict, type Earlier, findEarlier } from "./existing-turn.ts";
import { asChatHandlerError, ChatHandlerError } from "../core/errors.ts";
import { attempt, report } from "../core/guard-store.ts";
import { toModelMessages } from "../history/model-messages.ts";
import { callModel, type ChunkSink, fromProvider, type ModelCall } from "../model/model.ts";
import type { Settings, TurnContext } from "../chat/options.ts";
import { titleOf } from "../core/prompt.ts";
import type { RunningTurns } from "../coordination/local.ts";
import { Step, sumUsage, wholeEnding } from "./step.ts";
import type { ListMessagesOptions, MessageStatus, StoredMessage, ThreadKey } from "../core/store.ts";
import { retitle } from "./title.ts";

/** How long a model that gave its finish reason may take to close, in milliseconds: only the usage is still to come. */
const finishGrace = 2_000;

/** What a step that is over leaves: messages still without ids. */
type Kept = Pick<StoredMessage, "message" | "finishReason" | "usage">;

/** A turn that waits, runs or has ended. A class, for closures would occupy 1 kB more in every open stream. */
export class Turn {
  /** The client's name for its answer. */
  declare readonly responseId: string;
  /** Where it is stored. */
  declare readonly thread: ThreadKey;
  /** The prompt, as a message to store. */
  declare readonly asked: StoredMessage;
  /**
   * Why it was stopped or has failed, if it was: nobody may join it any more. Not read off the signal: in workerd no other request can
   * look at that, nor abort it.
   */
  reason: ChatHandlerError | undefined;
  /** Whether its prompt is stored, and it is for this turn to answer it and for the app to hear of it. */
  isTakenUp = false;
  /** What it says. */
  declare readonly answer: Answer;
  /** Resolves when all of it is stored and the next turn of the thread may begin. */
  declare readonly over: Promise<void>;

  /** For the app's functions alone: they may change it. */
  readonly #context: TurnContext;
  readonly #settings: Settings;
  readonly #turns: RunningTurns;
  readonly #startedAt = performance.now();
  /** Of what is under way, each with its own: the app's functions, a call of the model, or tools. */
  #controller: AbortController | undefined;
  /** The call that is under way; gone where a model that has finished does not end. */
  #call: ModelCall | undefined;
  #queued = 0;
  /** What the model is to be asked. */
  #body: ChatCompletionCreateParamsStreaming | undefined;
  #steps = 0;
  /** The one that is being said, or the final one. */
  #step: Step | undefined;
  /** Of the steps that are over: calls and their results, and tokens. */
  readonly #kept: Kept[] = [];
  #used: CompletionUsage | undefined;
  #titled: Promise<void> | undefined;
  /** Resolves when the app has been told. */
  #told: Promise<void> | undefined;
  #timer: ReturnType<typeof setTimeout> | undefined;
  /** When the model must have said more, and when the turn must be over, by `performance.now()`. */
  #dueAt = Infinity;
  #endsAt = 0;

  /** Puts a turn in its thread's line. Everything that can go wrong with it reaches the readers of its answer. */
  constructor(context: TurnContext, settings: Settings, turns: RunningTurns) {
    const {
      owner,
      threadId,
      responseId,
      prompt: { id, ...message },
    } = context;
    this.responseId = responseId;
    this.thread = { owner, threadId };
    this.asked = { id, promptId: id, message, status: "complete", createdAt: settings.now() };
    this.#context = context;
    this.#settings = settings;
    this.#turns = turns;
    this.answer = new Answer(settings.flushInterval, this);
    this.over = this.#live();
    const { waitUntil } = settings;
    if (waitUntil) void attempt(() => waitUntil(this.over.then(() => this.#told))).catch((error) => this.#report(error));
  }

  #report(error: unknown): void {
    report(this.#settings, error, this.#context);
  }

  /** Stops it: nobody is there any more, or it has taken too long. */
  abort(reason: ChatHandlerError): void {
    this.reason ??= reason;
    this.#controller?.abort(reason);
    this.#call?.close();
    this.answer.wake?.();
  }

  /**
   * One timer for all that may take too long, moved only when it fires or the model has finished: re-arming it at every chunk would
   * cost more than reading the chunk. It fires at least once within each wait.
   */
  #watch(): void {
    const { timeouts } = this.#settings;
    const now = performance.now();
    const left = Math.min(this.#dueAt, this.#endsAt) - now;
    if (left > 0) this.#timer = setTimeout(() => this.#watch(), Math.min(left, timeouts.firstChunk, timeouts.idle));
    else if (now >= this.#endsAt) this.abort(new ChatHandlerError("turn_timeout", "The answer took too long."));
    else if (!this.#step?.finishReason) this.abort(new ChatHandlerError("model_timeout", "The model took too long."));
    else {
      // It had finished, whatever keeps its connection open.
      this.#hangUp();
      this.#watch();
    }
  }

  async #look(options?: ListMessagesOptions): Promise<Earlier> {
    const earlier = findEarlier(await this.#settings.store.listMessages(this.thread, options), this.asked, this.responseId);
    // An answer whose prompt is further back than the history reaches may have lost its first steps, too.
    return options && earlier.answer !== undefined && !earlier.hasPrompt ? this.#look() : earlier;
  }

  /** Waits in line, finds out what is stored and sees to it that the prompt is. A whole answer waits for nobody. */
  async #takeUp(): Promise<Earlier> {
    const { limits, timeouts, history, concurrency, store } = this.#settings;
    const ahead = this.#turns.enter(this);
    /** Those whose prompts are not stored yet. */
    const coming = ahead.filter(({ isTakenUp }) => !isTakenUp);
    let isBegun = false;
    if (ahead.length > 0) {
      const isBusy = ahead.length > limits.queue || (concurrency === "reject" && ahead.some(({ reason }) => !reason));
      const atFirst = await this.#look({ last: history.maxMessages });
      if (atFirst.answer !== undefined) return atFirst;
      if (isBusy) throw busy();
      const free = Promise.all(ahead.map(({ over }) => over));
      await within(timeouts.queue, free, busy).catch((error) => {
        // Nobody hears any more that it is busy: the prompt was sent, and waits on.
        if (!this.reason) throw error;
        return free;
      });
      isBegun = atFirst.count > 0 || coming.some(({ isTakenUp }) => isTakenUp);
    }
    const now = performance.now();
    this.#queued = now - this.#startedAt;
    this.#endsAt = now + timeouts.turn;
    this.#watch();
    const earlier = await this.#look({ last: history.maxMessages });
    if (earlier.answer !== undefined) return earlier;
    // Someone deleted the thread while the prompt waited in it.
    if (isBegun && earlier.count === 0) throw conflict("threadId");
    // The prompt is stored even if its client has left by now: it was sent, and the person sees it as sent.
    const title = titleOf(this.#context.prompt.content);
    // The thread routes store a first prompt before its turn.
    if (!earlier.hasPrompt) {
      const ids = await store.appendMessages(this.thread, [this.asked], { title });
      if (!ids.includes(this.asked.id)) {
        // It stands further back than the history reaches.
        const whole = await this.#look();
        if (!whole.hasPrompt) throw conflict("prompt.id");
        return whole;
      }
    }
    if (earlier.count === Number(earlier.hasPrompt) && this.#settings.generateTitle) {
      this.#titled = retitle(this.thread, title, this.#context, this.#settings).catch((error) => this.#report(error));
    }
    return earlier;
  }

  /** Resolves to the whole answer where it is stored; where it is not, the model can be asked. */
  async #prepare(): Promise<string | undefined> {
    const { answer: whole, before } = await this.#takeUp();
    if (whole !== undefined) return whole;
    this.isTakenUp = true;
    const { signal } = this.#begin();
    const { model, systemPrompt, params, history, tools } = this.#settings;
    const given = async <T>(option: T | ((context: TurnContext) => T | Promise<T>)) =>
      typeof option === "function" ? (option as (context: TurnContext) => T | Promise<T>)(this.#context) : option;
    const [name, system, more] = await unlessAborted(signal, Promise.all([given(model), given(systemPrompt), given(params)]));
    const messages = toModelMessages([...before, this.asked], history.maxMessages);
    if (system) messages.unshift({ role: "system", content: system });
    const ours = { model: name, messages, stream: true as const, tools: tools?.params };
    this.#body = { ...more, ...ours } as ChatCompletionCreateParamsStreaming;
    return undefined;
  }

  #throwIfAborted(): void {
    if (this.reason) throw this.reason;
  }

  /** What begins now can be aborted by this; nothing begins in a turn that was. */
  #begin(): AbortController {
    this.#throwIfAborted();
    return (this.#controller = new AbortController());
  }

  #ask(sink: ChunkSink): Promise<ModelCall> {
    const { client, tools } = this.#settings;
    const body = this.#body!;
    // Let go of, for a thread may be long and its answer takes a while: only tools need it once more.
    if (!tools) this.#body = undefined;
    return callModel(client, body, this.#begin(), sink);
  }

  /** Within how many milliseconds the model must say more. */
  #expect(ms: number): void {
    this.#dueAt = performance.now() + ms;
  }

  #hangUp(): void {
    this.#expect(Infinity);
    this.#call?.close();
    this.#call = undefined;
  }

  /**
   * Asks the model, which writes what it says into the answer, as fast as that has room. Resolves when the model has finished; rejects
   * when the call broke off, for whatever reason.
   */
  async #listen(step: Step): Promise<void> {
    const { timeouts } = this.#settings;
    let graceEndsAt: number | undefined;
    try {
      this.#expect(timeouts.firstChunk);
      this.#call = await this.#ask(step);
      // It may have been aborted before there was anything to close; from here on an abort ends the reads.
      while (this.#call && !this.reason) {
        const seen = step.chunks;
        const read = await this.#call.read();
        if (!this.#call || this.#call.take(read)) break;
        // Comments keep a connection open, but say nothing.
        if (step.chunks === seen) continue;
        // Held back here, the model's connection fills up and the provider waits; meanwhile nothing is expected of it.
        while (this.answer.isFull() && !this.reason) {
          this.#expect(Infinity);
          await this.answer.changed();
        }
        if (step.finishReason) {
          this.#dueAt = graceEndsAt ??= performance.now() + finishGrace;
          clearTimeout(this.#timer);
          this.#watch();
        } else this.#expect(timeouts.idle);
      }
      this.#throwIfAborted();
    } catch (error) {
      throw fromProvider(this.reason ?? error);
    } finally {
      this.#hangUp();
    }
    if (!step.finishReason) throw new ChatHandlerError("model_failed", "The model's answer broke off.");
  }

  /** Runs the tools that the model has called. Resolves to whether it called any and is to be asked again. */
  async #runTools({ start, finishReason = "", toolCalls, usage }: Step): Promise<boolean> {
    const { tools } = this.#settings;
    if (!wholeEnding.test(finishReason))
      throw new ChatHandlerError("answer_incomplete", `The model's answer was cut short: ${finishReason}.`);
    if (!tools || !toolCalls) return false;
    this.answer.flush();
    const { signal } = this.#begin();
    const { calls, results } = await tools.run(toolCalls, { ...this.#context, signal }, (error) => this.#report(error));
    const call = { role: "assistant" as const, content: this.answer.textFrom(start) || null, tool_calls: calls };
    // Kept together, so that a call is never without its result.
    this.#kept.push({ message: call, finishReason, usage }, ...results.map((message) => ({ message })));
    this.#used = sumUsage(this.#used, usage);
    this.#step = undefined;
    this.#throwIfAborted();
    const body = this.#body!;
    body.messages = [...body.messages, call, ...results];
    return true;
  }

  /** Stores what was said, in the place of a broken attempt. Resolves to whether it is there now. */
  async #keep(status: MessageStatus): Promise<boolean> {
    const { store, generateId, now } = this.#settings;
    const { start = this.answer.length, finishReason, usage } = this.#step ?? ({} as Partial<Step>);
    const content = this.answer.textFrom(start);
    // Ids of their own each time: whatever became of an attempt to store them, it cannot get in the way of this one.
    const stored = (id: string, kept: Kept): StoredMessage => ({ id, ...kept, promptId: this.asked.id, status, createdAt: now() });
    const batch = this.#kept.map((kept) => stored(generateId(), kept));
    if (content || status === "complete") {
      batch.push(stored(this.responseId, { message: { role: "assistant", content }, finishReason, usage }));
    }
    if (batch.length === 0) return false;
    if (new Set(batch.map(({ id }) => id)).size < batch.length) throw new TypeError("generateId repeats an id");
    return batch.length === (await store.appendMessages(this.thread, batch, { replacesAnswerTo: this.asked.id })).length;
  }

  async #commit(): Promise<void> {
    let failure: ChatHandlerError | undefined;
    if (await this.#keep("complete").catch((error) => void (failure = asChatHandlerError(error)))) return;
    // The store may have done it all the same: then the answer is whole. If not, and it did not fail, someone deleted the prompt
    // meanwhile, or another process answered it.
    if ((await this.#look()).answer !== this.answer.textFrom(0)) throw failure ?? conflict("responseId");
    if (failure) this.#report(failure);
  }

  async #live(): Promise<void> {
    const answer = this.answer;
    let error: ChatHandlerError | undefined;
    let status: MessageStatus = "complete";
    try {
      const whole = await this.#prepare();
      if (whole !== undefined) answer.write(whole);
      else {
        do {
          if (this.#steps === this.#settings.limits.steps) throw new ChatHandlerError("answer_incomplete", "The model kept calling tools.");
          this.#steps++;
          this.#step = new Step(answer, this.#settings);
          await this.#listen(this.#step);
        } while (await this.#runTools(this.#step));
        if (answer.length === 0) throw new ChatHandlerError("model_failed", "The model said nothing.");
        clearTimeout(this.#timer);
        answer.flush();
        await this.#commit();
      }
    } catch (thrown) {
      error = asChatHandlerError(thrown);
      this.reason ??= error;
      status = error.code === "client_gone" ? "stopped" : "failed";
      if (this.isTakenUp) await this.#keep(status).catch((error) => this.#report(error));
      this.#report(error);
    }
    clearTimeout(this.#timer);
    answer.end(error);
    this.#turns.leave(this);
    if (this.isTakenUp) this.#told = this.#tell(status, error);
  }

  async #tell(status: MessageStatus, error: ChatHandlerError | undefined): Promise<void> {
    const { finishReason, usage } = this.#step ?? ({} as Partial<Step>);
    const { openedAt } = this.answer;
    const firstText = openedAt && openedAt - this.#startedAt;
    const timings = { queued: this.#queued, firstText, total: performance.now() - this.#startedAt };
    const ended = { ...this.#context, status, finishReason, usage: sumUsage(this.#used, usage), steps: this.#steps, error, timings };
    await attempt(() => this.#settings.onTurnEnd?.(ended)).catch((error) => this.#report(error));
    await this.#titled;
  }
}

const busy = () => new ChatHandlerError("thread_busy", "Another answer is being written. Try again.", { retryAfter: "1" });
