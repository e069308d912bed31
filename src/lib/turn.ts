/** The life of one turn: from its place in the thread's line to its answer in the store. */
import type { ChatCompletionCreateParamsStreaming } from "openai/resources/chat/completions";
import type { CompletionUsage } from "openai/resources/completions";
import { Answer, type AnswerReader } from "./answer.ts";
import { unlessAborted, within } from "./deadline.ts";
import { conflict, type Earlier, findEarlier } from "./earlier.ts";
import { asChatHandlerError, ChatHandlerError } from "./errors.ts";
import { guardApp } from "./guard.ts";
import { toModelMessages } from "./history.ts";
import { callModel, type ModelCall, type OnChunk } from "./model.ts";
import type { Settings, TurnContext } from "./options.ts";
import { type Prompt, titleOf } from "./prompt.ts";
import type { RunningTurns } from "./running-turns.ts";
import { type Said, speak } from "./step.ts";
import type { ListMessagesOptions, MessageStatus, StoredMessage } from "./store.ts";
import { retitle } from "./title.ts";

/** A turn that waits, runs or has ended. */
export interface Turn {
  /** The client's name for its answer. */
  readonly responseId: string;
  /** What it answers. */
  readonly prompt: Prompt;
  /** Whether it was stopped or has failed: nobody may join it any more. */
  isEnding(): boolean;
  /** Reads its answer from the beginning. When the last reader leaves, the turn stops. */
  join(): AnswerReader;
  /** Resolves when all of it is stored and the next turn of the thread may begin. */
  readonly over: Promise<void>;
  /** Resolves when the app has been told, too. */
  readonly settled: Promise<void>;
}

/** What a step that is over leaves: messages still without ids. */
type Kept = Pick<StoredMessage, "message" | "finishReason" | "usage">;

/** Puts a turn in its thread's line. Everything that can go wrong with it reaches the readers of its answer. */
export function startTurn(context: TurnContext, settings: Settings, turns: RunningTurns, report: (error: ChatHandlerError) => void): Turn {
  const { owner, threadId, responseId, prompt } = context;
  const { store, limits, timeouts, history, tools, generateId: newId } = settings;
  const { id: promptId, ...promptMessage } = prompt;
  const thread = { owner, threadId };
  const startedAt = performance.now();
  const controller = new AbortController();
  const { signal } = controller;
  const answer = new Answer(settings.flushInterval, () => abort(clientGone()));
  // Not read off the signal: workerd lets no other request look at it.
  let isEnding = false;
  let queued = 0;
  /** Whether it is for this turn to answer, and for the app to hear of it. */
  let isTakenUp = false;
  /** What the model is to be asked. */
  let body: ChatCompletionCreateParamsStreaming | undefined;
  let steps = 0;
  /** The step that is being said, or the final one. */
  let said: Said | undefined;
  /** Of the steps that are over: calls and their results, and tokens. */
  const kept: Kept[] = [];
  let used: CompletionUsage | undefined;
  let titled: Promise<void> | undefined;
  let timer: ReturnType<typeof setTimeout> | undefined;
  /** When the model must have said more, and when the turn must be over, by `performance.now()`. */
  let dueAt = Infinity;
  let endsAt = 0;

  const abort = (reason: ChatHandlerError) => {
    isEnding = true;
    controller.abort(reason);
    answer.wake?.();
  };

  /**
   * One timer for all that may take too long, moved only when it fires: re-arming it at every chunk would cost more than reading the
   * chunk. It fires at least once within each wait.
   */
  const watch = () => {
    const now = performance.now();
    const left = Math.min(dueAt, endsAt) - now;
    if (left > 0) timer = setTimeout(watch, Math.min(left, timeouts.firstChunk, timeouts.idle));
    else if (now < endsAt) abort(new ChatHandlerError("model_timeout", "The model took too long."));
    else abort(new ChatHandlerError("turn_timeout", "The answer took too long."));
  };

  const expect = (ms: number) => {
    dueAt = performance.now() + ms;
  };

  const stored = (id: string, message: StoredMessage["message"], rest?: Partial<StoredMessage>): StoredMessage => ({
    id,
    promptId,
    message,
    status: "complete",
    createdAt: settings.now(),
    ...rest,
  });

  const asked = stored(promptId, promptMessage);

  const look = async (options?: ListMessagesOptions): Promise<Earlier> => {
    const earlier = findEarlier(await store.listMessages(thread, options), prompt, responseId);
    // An answer whose prompt is further back than the history reaches may have lost its first steps, too.
    return options && earlier.answer !== undefined && !earlier.hasPrompt ? look() : earlier;
  };

  /** Waits in line, finds out what is stored and sees to it that the prompt is. A whole answer waits for nobody. */
  const takeUp = async (): Promise<Earlier> => {
    const ahead = turns.enter(thread, turn);
    if (ahead.length > 0) {
      const isBusy = ahead.length > limits.queue || (settings.concurrency === "reject" && ahead.some((turn) => !turn.isEnding()));
      const earlier = await look(history);
      if (earlier.answer !== undefined) return earlier;
      if (isBusy) throw busy();
      await within(timeouts.queue, Promise.all(ahead.map(({ over }) => over)), busy);
    }
    const now = performance.now();
    queued = now - startedAt;
    endsAt = now + timeouts.turn;
    watch();
    const earlier = await look(history);
    if (earlier.answer !== undefined) return earlier;
    // The prompt is stored even if its client has left by now: it was sent, and the person sees it as sent.
    const title = earlier.isFirst ? titleOf(prompt.content) : undefined;
    // The thread routes store a first prompt before its turn.
    if (!earlier.hasPrompt) {
      const ids = await store.appendMessages(thread, [asked], { title });
      if (!ids.includes(promptId)) {
        // It stands further back than the history reaches.
        const whole = await look();
        if (!whole.hasPrompt) throw conflict("prompt.id");
        return whole;
      }
    }
    if (title !== undefined) titled = retitle(context, settings, title, report);
    return earlier;
  };

  /** Resolves to the whole answer where it is stored; where it is not, the model can be asked. */
  const prepare = async (): Promise<string | undefined> => {
    const { answer: whole, before } = await takeUp();
    if (whole !== undefined) return whole;
    isTakenUp = true;
    signal.throwIfAborted();
    const given = <T>(option: T | ((context: TurnContext) => T | Promise<T>)) =>
      guardApp(() => (typeof option === "function" ? (option as (context: TurnContext) => T | Promise<T>)(context) : option));
    const work = Promise.all([given(settings.model), given(settings.systemPrompt), given(settings.params)]);
    const [model, systemPrompt, params] = await unlessAborted(signal, work);
    const messages = toModelMessages([...before, asked], history.last);
    if (systemPrompt) messages.unshift({ role: "system", content: systemPrompt });
    body = { ...params, model, messages, stream: true, ...(tools && { tools: tools.params }) };
    return undefined;
  };

  const ask = (onChunk: OnChunk): Promise<ModelCall> => {
    const sent = body!;
    // Let go of, for a thread may be long and its answer takes a while: only tools need it once more.
    if (!tools) body = undefined;
    return callModel(settings.client, sent, signal, onChunk);
  };

  const textFrom = (start: number) => answer.text().slice(start).toWellFormed();

  /** Runs the tools that the model has called. Resolves to whether it called any and is to be asked again. */
  const runTools = async ({ start, finishReason = "", toolCalls, usage }: Said): Promise<boolean> => {
    if (cutShort.has(finishReason)) throw incomplete(`The model's answer was cut short: ${finishReason}.`);
    if (!tools || !toolCalls?.size) return false;
    answer.flush();
    const calls = [...toolCalls.values()];
    const results = await tools.run(calls, { ...context, signal }, (error) =>
      report(asChatHandlerError(error, "internal", "A tool failed.")),
    );
    const call = { role: "assistant" as const, content: textFrom(start) || null, tool_calls: calls };
    // Kept together, so that a call is never without its result.
    kept.push({ message: call, finishReason, usage }, ...results.map((message) => ({ message })));
    used = sum(used, usage);
    said = undefined;
    signal.throwIfAborted();
    body!.messages = [...body!.messages, call, ...results];
    return true;
  };

  /** Stores what was said, in the place of a broken attempt. Resolves to whether it is there now. */
  const keep = async (status: MessageStatus): Promise<boolean> => {
    const { start = answer.length, finishReason, usage } = said ?? {};
    const content = textFrom(start);
    // Ids of their own each time: whatever became of an attempt to store them, it cannot get in the way of this one.
    return guardApp(async () => {
      const batch = kept.map(({ message, ...ending }) => stored(newId(), message, { ...ending, status }));
      if (content || status === "complete") {
        const ending = { status, ...(finishReason && { finishReason }), ...(usage && { usage }) };
        batch.push(stored(responseId, { role: "assistant", content }, ending));
      }
      if (batch.length === 0) return false;
      return (await store.appendMessages(thread, batch, { answers: promptId })).length === batch.length;
    });
  };

  const commit = async (): Promise<void> => {
    let failure: ChatHandlerError | undefined;
    if (await keep("complete").catch((error) => void (failure = error as ChatHandlerError))) return;
    // The store may have done it all the same: then the answer is whole. If not, and it did not fail, someone deleted the prompt
    // meanwhile, or another process answered it.
    if ((await look()).answer !== textFrom(0)) throw failure ?? conflict("responseId");
    if (failure) report(failure);
  };

  const live = async (): Promise<void> => {
    let error: ChatHandlerError | undefined;
    let status: MessageStatus = "complete";
    try {
      const whole = await prepare();
      if (whole !== undefined) answer.write(whole);
      else {
        do {
          if (steps === limits.steps) throw incomplete("The model kept calling tools.");
          steps++;
          said = { start: answer.length };
          await speak(said, ask, answer, settings, signal, expect);
        } while (await runTools(said));
        if (answer.length === 0) throw new ChatHandlerError("model_failed", "The model finished without saying anything.");
        clearTimeout(timer);
        answer.flush();
        await commit();
      }
    } catch (thrown) {
      isEnding = true;
      error = asChatHandlerError(thrown, "internal");
      status = error.code === "client_gone" ? "stopped" : "failed";
      if (isTakenUp && error.code !== "id_conflict") await keep(status).catch(report);
      report(error);
    }
    clearTimeout(timer);
    answer.end(error);
    turns.leave(thread, turn);
    isOver();
    if (isTakenUp) {
      const { finishReason, usage } = said ?? {};
      const { openedAt } = answer;
      const firstText = openedAt && openedAt - startedAt;
      const timings = { queued, firstText, total: performance.now() - startedAt };
      const ended = { ...context, status, finishReason, usage: sum(used, usage), steps, error, timings };
      await guardApp(() => settings.onTurnEnd?.(ended)).catch(report);
    }
    await titled;
  };

  const { promise: over, resolve: isOver } = Promise.withResolvers<void>();
  const turn = { responseId, prompt, isEnding: () => isEnding, join: () => answer.join(), over } as Turn & { settled: Promise<void> };
  turn.settled = live();
  void guardApp(() => settings.waitUntil?.(turn.settled)).catch(report);
  return turn;
}

/** What a reader that left finds; nobody else sees it. */
export const clientGone = (): ChatHandlerError => new ChatHandlerError("client_gone", "The client left.");

const busy = () => new ChatHandlerError("thread_busy", "Another answer of this thread is being written. Try again.", { retryAfter: "1" });

const incomplete = (message: string) => new ChatHandlerError("answer_incomplete", message);

/** Finish reasons with which a provider ends an answer that is not whole. */
const cutShort = new Set(["length", "max_tokens", "content_filter", "error"]);

function sum(a: CompletionUsage | undefined, b: CompletionUsage | undefined): CompletionUsage | undefined {
  if (!a || !b) return a ?? b;
  const total = { ...b };
  for (const name of ["prompt_tokens", "completion_tokens", "total_tokens"] as const) total[name] += a[name];
  return total;
}
