/** The life of one turn: from its place in the thread's line to its answer in the store. */
import type { ChatCompletionCreateParamsStreaming } from "openai/resources/chat/completions";
import type { CompletionUsage } from "openai/resources/completions";
import { createAnswer, type AnswerReader } from "./answer.ts";
import { unlessAborted, within } from "./deadline.ts";
import { type Earlier, findEarlier } from "./earlier.ts";
import { asChatHandlerError, ChatHandlerError } from "./errors.ts";
import { guardApp, guardStore } from "./guard.ts";
import { toModelMessages } from "./history.ts";
import { checkParams, type Settings, storeMethods, type TurnContext } from "./options.ts";
import { type Prompt, titleOf } from "./prompt.ts";
import type { Place, RunningTurns } from "./running-turns.ts";
import { beginStep, type Said, speak } from "./step.ts";
import type { MessageStatus, StoredMessage } from "./store.ts";
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
  /** Settles when all of it is stored and told. Never rejects. */
  readonly settled: Promise<void>;
}

/** What a turn has done so far. */
interface Work {
  earlier: Earlier;
  /** The step that is being said, or the final one. */
  said?: Said | undefined;
  /** Steps that are over: calls and their results. */
  kept: StoredMessage[];
  steps: number;
  usage?: CompletionUsage | undefined;
}

/** Puts a turn in its thread's line. Everything that can go wrong with it reaches the readers of its answer. */
export function startTurn(context: TurnContext, settings: Settings, turns: RunningTurns, report: (error: ChatHandlerError) => void): Turn {
  const { owner, threadId, responseId, prompt } = context;
  const { limits, timeouts, history, tools } = settings;
  const { id: promptId, ...promptMessage } = prompt;
  const thread = { owner, threadId };
  const store = guardStore(settings.store, storeMethods, timeouts.store);
  const startedAt = performance.now();
  const controller = new AbortController();
  const { signal } = controller;
  const answer = createAnswer(settings.flushInterval);
  let readers = 0;
  let isFailing = false;
  let queued = 0;
  let work: Work | undefined;
  let titled: Promise<void> | undefined;
  let timer: ReturnType<typeof setTimeout> | undefined;

  const abort = (reason: ChatHandlerError) => {
    controller.abort(reason);
    answer.interrupt();
  };

  const stored = (id: string, message: StoredMessage["message"], rest?: Partial<StoredMessage>): StoredMessage => ({
    id,
    promptId,
    message,
    status: "complete",
    createdAt: settings.now(),
    ...rest,
  });

  /** Waits in line; but an answer that is complete already waits for nobody and is returned. */
  const waitInLine = async (place: Place): Promise<string | undefined> => {
    const ahead = place.ahead();
    if (ahead === 0) return undefined;
    if (ahead > limits.queue) throw busy();
    const isRefused = settings.concurrency === "reject" && place.isBusy();
    const { answer: whole } = findEarlier(await store.listMessages(thread, history), prompt, responseId);
    if (whole !== undefined) return whole;
    if (isRefused) throw busy();
    await within(timeouts.queue, place.reached, busy);
    return undefined;
  };

  /** Finds out what is stored and sees to it that the prompt is. */
  const takeUp = async (): Promise<Earlier> => {
    const messages = await store.listMessages(thread, history);
    const earlier = findEarlier(messages, prompt, responseId);
    if (earlier.answer !== undefined || earlier.hasPrompt) return earlier;
    const title = messages.length === 0 ? titleOf(prompt.content) : undefined;
    const ids = await store.appendMessages(thread, [stored(promptId, promptMessage)], { title });
    if (ids.includes(promptId)) {
      if (title !== undefined) titled = retitle(context, settings, title, report);
      return earlier;
    }
    // It stands further back than the history reaches.
    return findEarlier(await store.listMessages(thread), prompt, responseId);
  };

  const modelBody = async (before: readonly StoredMessage[]): Promise<ChatCompletionCreateParamsStreaming> => {
    const given = <T>(option: T | ((context: TurnContext) => T | Promise<T>)) =>
      guardApp(() => (typeof option === "function" ? (option as (context: TurnContext) => T | Promise<T>)(context) : option));
    const work = Promise.all([given(settings.model), given(settings.systemPrompt), given(settings.params)]);
    const [model, systemPrompt, params] = await unlessAborted(signal, work);
    await guardApp(() => checkParams(params));
    const messages = toModelMessages([...before, stored(promptId, promptMessage)], history.last);
    if (systemPrompt) messages.unshift({ role: "system", content: systemPrompt });
    return { ...params, model, messages, stream: true, ...(tools && { tools: tools.params }) };
  };

  /** Calls the model, and the tools it asks for, until it has answered. */
  const converse = async (work: Work): Promise<void> => {
    const body = await modelBody(work.earlier.before);
    for (;;) {
      if (++work.steps > limits.steps) throw incomplete("The model kept calling tools.");
      const said = (work.said = beginStep(answer));
      await speak(said, body, answer, settings, signal);
      const { finishReason = "", toolCalls } = said;
      work.usage = sum(work.usage, said.usage);
      if (cutShort.has(finishReason)) throw incomplete(`The model's answer was cut short: ${finishReason}.`);
      if (toolCalls.size === 0) break;
      const step = await runStep(said);
      work.kept.push(...step);
      work.said = undefined;
      signal.throwIfAborted();
      body.messages = [...body.messages, ...step.map(({ message }) => message)];
    }
    if (answer.length === 0) throw new ChatHandlerError("model_failed", "The model finished without saying anything.");
  };

  /** The calls of a step with their results: stored together, so that a call is never without its result. */
  const runStep = async ({ toolCalls, text, finishReason, usage }: Said): Promise<StoredMessage[]> => {
    if (!tools) throw incomplete("The model called a tool, and there is none.");
    answer.flush();
    const calls = [...toolCalls.values()].map((call) => ({ ...call, id: call.id || settings.generateId() }));
    const results = await tools.run(calls, { ...context, signal }, (error) => report(asChatHandlerError(error, "internal", "A tool failed.")));
    const message = { role: "assistant" as const, content: text().toWellFormed() || null, tool_calls: calls };
    return [
      stored(settings.generateId(), message, { finishReason, usage }),
      ...results.map((result) => stored(settings.generateId(), result)),
    ];
  };

  /** Stores what was said, in the place of an earlier attempt. Resolves to whether the answer is there now. */
  const keep = async ({ said, kept, earlier: { attempt } }: Work, status: MessageStatus): Promise<boolean> => {
    const content = said?.text().toWellFormed() ?? "";
    const { finishReason, usage } = said ?? {};
    const batch = [...kept];
    if (content || status === "complete") {
      batch.push(stored(responseId, { role: "assistant", content }, { status, finishReason, usage }));
    }
    const [only] = batch;
    if (!only) return false;
    if (batch.length === 1 && attempt.length === 1 && attempt[0]?.id === only.id) {
      const { id, promptId: _, ...change } = only;
      return await store.updateMessage(thread, id, change);
    }
    if (attempt.length > 0) await store.deleteMessages(thread, attempt.map(({ id }) => id));
    return (await store.appendMessages(thread, batch, { requires: promptId })).includes(responseId);
  };

  const run = async (place: Place): Promise<void> => {
    const replay = await waitInLine(place);
    queued = performance.now() - startedAt;
    timer = setTimeout(() => abort(new ChatHandlerError("turn_timeout", "The answer took too long.")), timeouts.turn);
    if (replay !== undefined) return answer.write(replay);
    // The prompt is stored even if its client has left by now: it was sent, and the person sees it as sent.
    const earlier = await takeUp();
    if (earlier.answer !== undefined) return answer.write(earlier.answer);
    work = { earlier, kept: [], steps: 0 };
    signal.throwIfAborted();
    await converse(work);
    clearTimeout(timer);
    answer.flush();
    if (!(await keep(work, "complete"))) {
      throw new ChatHandlerError("id_conflict", "The prompt was deleted, or answered elsewhere, while this answer was written.");
    }
  };

  const live = async (place: Place): Promise<void> => {
    let error: ChatHandlerError | undefined;
    let status: MessageStatus = "complete";
    try {
      await run(place);
    } catch (thrown) {
      isFailing = true;
      error = asChatHandlerError(thrown, "internal", "Something went wrong.");
      status = error.code === "client_gone" ? "stopped" : "failed";
      if (work && error.code !== "id_conflict") await keep(work, status).catch(report);
      report(error);
    }
    clearTimeout(timer);
    answer.end(error);
    place.leave();
    if (work) {
      const { said, usage, steps } = work;
      const firstText = answer.openedAt === undefined ? undefined : answer.openedAt - startedAt;
      const timings = { queued, firstText, total: performance.now() - startedAt };
      const ended = { ...context, status, finishReason: said?.finishReason, usage, steps, error, timings };
      await guardApp(() => settings.onTurnEnd?.(ended)).catch(report);
    }
    await titled;
  };

  const turn = {
    responseId,
    prompt,
    isEnding: () => isFailing || signal.aborted,
    join() {
      readers++;
      return answer.join(() => {
        if (--readers === 0) abort(clientGone());
      });
    },
    settled: Promise.resolve(),
  };
  turn.settled = live(turns.enter(thread, turn));
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
  return {
    prompt_tokens: a.prompt_tokens + b.prompt_tokens,
    completion_tokens: a.completion_tokens + b.completion_tokens,
    total_tokens: a.total_tokens + b.total_tokens,
  };
}
