/** The life of one turn: from its place in the thread's line to its answer in the store. */
import type { ChatCompletionCreateParamsStreaming } from "openai/resources/chat/completions";
import type { CompletionUsage } from "openai/resources/completions";
import { Answer, type AnswerReader } from "./answer.ts";
import { unlessAborted, within } from "./deadline.ts";
import { conflict, type Earlier, findEarlier } from "./earlier.ts";
import { asChatHandlerError, ChatHandlerError } from "./errors.ts";
import { guardApp } from "./guard.ts";
import { toModelMessages } from "./history.ts";
import type { Settings, TurnContext } from "./options.ts";
import { type Prompt, titleOf } from "./prompt.ts";
import type { RunningTurns } from "./running-turns.ts";
import { type Said, speak } from "./step.ts";
import type { ListMessagesOptions, MessageStatus, StoredMessage } from "./store.ts";
import { retitle } from "./title.ts";
import type { ToolCalls, ToolRunner } from "./tools.ts";

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

/** Messages still without ids. */
type Step = Pick<StoredMessage, "message" | "finishReason" | "usage">[];

/** What a turn has done so far. */
interface Work {
  /** The step that is being said, or the final one. */
  said?: Said | undefined;
  /** Steps that are over: calls and their results. */
  kept: Step;
  steps: number;
  usage?: CompletionUsage | undefined;
}

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
  let work: Work | undefined;
  let titled: Promise<void> | undefined;
  let timer: ReturnType<typeof setTimeout> | undefined;

  const abort = (reason: ChatHandlerError) => {
    isEnding = true;
    controller.abort(reason);
    answer.wake?.();
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
    queued = performance.now() - startedAt;
    timer = setTimeout(() => abort(new ChatHandlerError("turn_timeout", "The answer took too long.")), timeouts.turn);
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

  const modelBody = async (before: readonly StoredMessage[]): Promise<ChatCompletionCreateParamsStreaming> => {
    const given = <T>(option: T | ((context: TurnContext) => T | Promise<T>)) =>
      guardApp(() => (typeof option === "function" ? (option as (context: TurnContext) => T | Promise<T>)(context) : option));
    const work = Promise.all([given(settings.model), given(settings.systemPrompt), given(settings.params)]);
    const [model, systemPrompt, params] = await unlessAborted(signal, work);
    const messages = toModelMessages([...before, asked], history.last);
    if (systemPrompt) messages.unshift({ role: "system", content: systemPrompt });
    return { ...params, model, messages, stream: true, ...(tools && { tools: tools.params }) };
  };

  /** Calls the model, and the tools it asks for, until it has answered. */
  const converse = async (work: Work, before: readonly StoredMessage[]): Promise<void> => {
    const body = await modelBody(before);
    for (;;) {
      if (work.steps === limits.steps) throw incomplete("The model kept calling tools.");
      work.steps++;
      const said: Said = (work.said = { start: answer.length });
      try {
        await speak(said, body, answer, settings, signal, abort);
      } finally {
        work.usage = sum(work.usage, said.usage);
      }
      const { finishReason = "", toolCalls } = said;
      if (cutShort.has(finishReason)) throw incomplete(`The model's answer was cut short: ${finishReason}.`);
      if (!tools || !toolCalls?.size) break;
      const step = await runStep(said, toolCalls, tools);
      work.kept.push(...step);
      work.said = undefined;
      signal.throwIfAborted();
      body.messages = [...body.messages, ...step.map(({ message }) => message)];
    }
    if (answer.length === 0) throw new ChatHandlerError("model_failed", "The model finished without saying anything.");
  };

  const textFrom = (start: number) => answer.text().slice(start).toWellFormed();

  /** The calls of a step with their results: stored together, so that a call is never without its result. */
  const runStep = async ({ start, finishReason, usage }: Said, toolCalls: ToolCalls, tools: ToolRunner): Promise<Step> => {
    answer.flush();
    const calls = [...toolCalls.values()];
    const results = await tools.run(calls, { ...context, signal }, (error) =>
      report(asChatHandlerError(error, "internal", "A tool failed.")),
    );
    const call = { role: "assistant" as const, content: textFrom(start) || null, tool_calls: calls };
    return [{ message: call, finishReason, usage }, ...results.map((message) => ({ message }))];
  };

  /** Stores what was said, in the place of a broken attempt. Resolves to whether it is there now. */
  const keep = async ({ said, kept }: Work, status: MessageStatus): Promise<boolean> => {
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

  const commit = async (work: Work): Promise<void> => {
    let failure: ChatHandlerError | undefined;
    if (await keep(work, "complete").catch((error) => void (failure = error as ChatHandlerError))) return;
    // The store may have done it all the same: then the answer is whole. If not, and it did not fail, someone deleted the prompt
    // meanwhile, or another process answered it.
    if ((await look()).answer !== textFrom(0)) throw failure ?? conflict("responseId");
    if (failure) report(failure);
  };

  const live = async (): Promise<void> => {
    let error: ChatHandlerError | undefined;
    let status: MessageStatus = "complete";
    try {
      const earlier = await takeUp();
      if (earlier.answer !== undefined) answer.write(earlier.answer);
      else {
        work = { kept: [], steps: 0 };
        signal.throwIfAborted();
        await converse(work, earlier.before);
        clearTimeout(timer);
        answer.flush();
        await commit(work);
      }
    } catch (thrown) {
      isEnding = true;
      error = asChatHandlerError(thrown, "internal");
      status = error.code === "client_gone" ? "stopped" : "failed";
      if (work && error.code !== "id_conflict") await keep(work, status).catch(report);
      report(error);
    }
    clearTimeout(timer);
    answer.end(error);
    turns.leave(thread, turn);
    isOver();
    if (work) {
      const { said, usage, steps } = work;
      const openedAt = answer.openedAt;
      const firstText = openedAt && openedAt - startedAt;
      const timings = { queued, firstText, total: performance.now() - startedAt };
      const ended = { ...context, status, finishReason: said?.finishReason, usage, steps, error, timings };
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
