/** The life of one turn: from its place in the thread's line to its answer in the store. */
import type { ChatCompletionCreateParamsStreaming } from "openai/resources/chat/completions";
import type { CompletionUsage } from "openai/resources/completions";
import { createAnswer, type AnswerReader } from "./answer.ts";
import { unlessAborted, within } from "./deadline.ts";
import { type Earlier, findEarlier } from "./earlier.ts";
import { asChatHandlerError, ChatHandlerError } from "./errors.ts";
import { guardApp, guardStore } from "./guarded-store.ts";
import { toModelMessages } from "./history.ts";
import { checkParams, type EndedTurn, type Settings, type TurnContext } from "./options.ts";
import { type Prompt, titleOf } from "./prompt.ts";
import type { Place, RunningTurns } from "./running-turns.ts";
import { beginStep, type Said, speak } from "./step.ts";
import type { MessageStatus, StoredMessage } from "./store.ts";
import { retitle } from "./title.ts";
import { runTools, toolParams } from "./tools.ts";

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

/** Gets errors that no caller is there for. */
export type Report = (error: ChatHandlerError) => void;

/** Puts a turn in its thread's line. Everything that can go wrong with it reaches the readers of its answer. */
export function startTurn(context: TurnContext, settings: Settings, turns: RunningTurns, report: Report): Turn {
  const { owner, threadId, responseId, prompt } = context;
  const { limits, timeouts, now } = settings;
  const thread = { owner, threadId };
  const store = guardStore(settings.store, ["listMessages", "appendMessages", "updateMessage", "deleteMessages"], timeouts.store);
  const startedAt = performance.now();
  const elapsed = () => performance.now() - startedAt;

  const controller = new AbortController();
  const { signal } = controller;
  const answer = createAnswer(settings.flushInterval);
  let readers = 0;
  let isFailing = false;

  /** What the turn has done so far; `undefined` until it was taken up. */
  let work: Work | undefined;
  let titled: Promise<void> | undefined;
  let turnTimer: ReturnType<typeof setTimeout> | undefined;
  let queued = 0;

  const abort = (reason: ChatHandlerError) => {
    controller.abort(reason);
    answer.interrupt();
  };

  const stored = (id: string, message: StoredMessage["message"], rest?: Partial<StoredMessage>): StoredMessage => ({
    id,
    promptId: prompt.id,
    message,
    status: "complete",
    createdAt: now(),
    ...rest,
  });

  const look = async (last?: number): Promise<Earlier & { isFirst: boolean }> => {
    const messages = await store.listMessages(thread, last === undefined ? undefined : { last });
    return { ...findEarlier(messages, prompt, responseId), isFirst: messages.length === 0 };
  };

  /** Waits in line, unless the answer is complete already: a replay waits for nobody. */
  const waitInLine = async (place: Place): Promise<string | undefined> => {
    const ahead = place.ahead();
    if (ahead === 0) return undefined;
    const isRefused = settings.concurrency === "reject" && place.isBusy();
    if (ahead > limits.queue) throw busy();
    const { answer: whole } = await look(settings.history.last);
    if (whole !== undefined) return whole;
    if (isRefused) throw busy();
    await within(timeouts.queue, place.reached, busy);
    return undefined;
  };

  /** Finds out what is stored and sees to it that the prompt is. */
  const takeUp = async (): Promise<Earlier> => {
    let earlier = await look(settings.history.last);
    if (earlier.answer !== undefined || earlier.hasPrompt) return earlier;
    const title = earlier.isFirst ? titleOf(prompt.content) : undefined;
    const { id, ...message } = prompt;
    const ids = await store.appendMessages(thread, [stored(id, message)], title === undefined ? undefined : { title });
    if (!ids.includes(id)) {
      // It stands further back than the history reaches.
      earlier = await look();
      if (!earlier.hasPrompt && earlier.answer === undefined) throw new ChatHandlerError("store_failed", "The prompt could not be stored.");
    } else if (title !== undefined) titled = retitle(context, settings, title, report);
    return earlier;
  };

  const modelBody = async ({ before }: Earlier): Promise<ChatCompletionCreateParamsStreaming> => {
    const { model, systemPrompt, params, tools } = settings;
    const { id, ...message } = prompt;
    const [name, system, further] = await unlessAborted(
      signal,
      Promise.all([
        guardApp("model", () => (typeof model === "function" ? model(context) : model)),
        guardApp("systemPrompt", () => (typeof systemPrompt === "function" ? systemPrompt(context) : systemPrompt)),
        guardApp("params", async () => {
          if (typeof params !== "function") return params;
          const chosen = await params(context);
          checkParams(chosen);
          return chosen;
        }),
      ]),
    );
    return {
      ...further,
      model: name,
      stream: true,
      messages: [
        ...(system ? [{ role: "system" as const, content: system }] : []),
        ...toModelMessages([...before, stored(id, message)], settings.history.last),
      ],
      ...(tools.length > 0 && { tools: toolParams(tools) }),
    };
  };

  /** Calls the model, and the tools it asks for, until it has answered. */
  const converse = async (work: Work): Promise<void> => {
    const body = await modelBody(work.earlier);
    for (;;) {
      if (work.steps === limits.steps) throw new ChatHandlerError("answer_incomplete", "The model kept calling tools without answering.");
      work.steps++;
      const said = (work.said = beginStep(answer));
      await speak(said, body, answer, settings, signal);
      work.usage = addUsage(work.usage, said.usage);
      if (isCutShort(said.finishReason)) {
        throw new ChatHandlerError("answer_incomplete", "The model's answer was cut short.", {
          cause: new Error(`The finish reason is ${said.finishReason}.`),
        });
      }
      if (said.toolCalls.size === 0) break;
      if (settings.tools.length === 0) {
        throw new ChatHandlerError("answer_incomplete", "The model called a tool, and there are none.", {
          cause: new Error("Tools given by other means than the option `tools` cannot be run."),
        });
      }
      const step = await runStep(said);
      work.kept.push(...step);
      work.said = undefined;
      signal.throwIfAborted();
      body.messages = [...body.messages, ...step.map(({ message }) => message)];
    }
    if (answer.length === 0) throw new ChatHandlerError("model_failed", "The model finished without saying anything.");
  };

  /** The calls of a step with their results: stored together, so that a call is never without its result. */
  const runStep = async (said: Said): Promise<StoredMessage[]> => {
    const calls = [...said.toolCalls.values()].map((call) => ({ ...call, id: call.id || settings.generateId() }));
    answer.flush();
    const results = await runTools(calls, settings.tools, { ...context, signal }, (cause, tool) =>
      report(new ChatHandlerError("internal", `The tool ${tool} failed.`, { cause })),
    );
    const { finishReason, usage } = said;
    return [
      stored(settings.generateId(), { role: "assistant", content: said.text.toWellFormed() || null, tool_calls: calls }, { finishReason, usage }),
      ...results.map((result) => stored(settings.generateId(), result)),
    ];
  };

  /** Stores what was said, in the place of an earlier attempt. Resolves to whether the answer is there now. */
  const keep = async ({ said, kept, earlier: { attempt } }: Work, status: MessageStatus): Promise<boolean> => {
    const content = said?.text.toWellFormed() ?? "";
    const isFinal = status === "complete" || content !== "";
    const { finishReason, usage } = said ?? {};
    const final = isFinal ? [stored(responseId, { role: "assistant", content }, { status, finishReason, usage })] : [];
    const batch = [...kept, ...final];
    if (batch.length === 0) return false;
    if (attempt.length === 1 && attempt[0]?.id === responseId && batch.length === 1 && batch[0]) {
      const { id: _, promptId: __, ...change } = batch[0];
      return await store.updateMessage(thread, responseId, change);
    }
    if (attempt.length > 0) await store.deleteMessages(thread, attempt.map(({ id }) => id));
    const ids = await store.appendMessages(thread, batch, { requires: prompt.id });
    return ids.includes(responseId);
  };

  const run = async (place: Place): Promise<void> => {
    const replay = await waitInLine(place);
    queued = elapsed();
    turnTimer = setTimeout(() => abort(new ChatHandlerError("turn_timeout", "The answer took too long.")), timeouts.turn);
    // The prompt is stored even if its client has left by now: it was sent, and the person sees it as sent.
    const earlier = replay === undefined ? await takeUp() : { answer: replay };
    if (earlier.answer !== undefined) {
      answer.write(earlier.answer);
      return;
    }
    work = { earlier: earlier as Earlier, said: undefined, kept: [], steps: 0, usage: undefined };
    signal.throwIfAborted();
    await converse(work);
    clearTimeout(turnTimer);
    answer.flush();
    if (!(await keep(work, "complete"))) {
      throw new ChatHandlerError("id_conflict", "The prompt was deleted, or answered elsewhere, while this answer was written.");
    }
  };

  const live = async (place: Place): Promise<void> => {
    let error: ChatHandlerError | undefined;
    try {
      await run(place);
    } catch (thrown) {
      isFailing = true;
      error = asChatHandlerError(thrown, "internal", "Something went wrong.");
      if (work && error.code !== "id_conflict") {
        await keep(work, error.code === "client_gone" ? "stopped" : "failed").catch((failure: ChatHandlerError) => report(failure));
      }
    }
    clearTimeout(turnTimer);
    answer.end(error);
    place.leave();
    if (error && error.code !== "client_gone") report(error);
    if (work) await tell(work, error);
    await titled;
  };

  const tell = async ({ said, usage, steps }: Work, error: ChatHandlerError | undefined): Promise<void> => {
    const status = !error ? "complete" : error.code === "client_gone" ? "stopped" : "failed";
    const firstText = answer.openedAt === undefined ? undefined : answer.openedAt - startedAt;
    const timings = { queued, firstText, total: elapsed() };
    const ended: EndedTurn = { ...context, status, finishReason: said?.finishReason, usage, steps, error, timings };
    await guardApp("onTurnEnd", () => settings.onTurnEnd?.(ended)).catch((failure: ChatHandlerError) => report(failure));
  };

  const turn: Turn = {
    responseId,
    prompt,
    isEnding: () => isFailing || signal.aborted,
    join() {
      readers++;
      return answer.join(() => {
        if (--readers === 0) abort(new ChatHandlerError("client_gone", "The client left."));
      });
    },
    get settled() {
      return settled;
    },
  };
  const settled = live(turns.enter(thread, turn));
  return turn;
}

interface Work {
  earlier: Earlier;
  /** The step that is being said, or the final one. */
  said: Said | undefined;
  /** Steps that are over: calls and their results. */
  kept: StoredMessage[];
  steps: number;
  usage: CompletionUsage | undefined;
}

const busy = () =>
  new ChatHandlerError("thread_busy", "Another answer of this thread is still being written. Try again when it is done.", { retryAfter: "1" });

/** Reasons with which a provider ends an answer that is not whole. */
const cutShort = new Set(["length", "max_tokens", "content_filter", "error"]);

const isCutShort = (finishReason: string | undefined) => finishReason !== undefined && cutShort.has(finishReason);

function addUsage(sum: CompletionUsage | undefined, usage: CompletionUsage | undefined): CompletionUsage | undefined {
  if (!sum || !usage) return usage ?? sum;
  return {
    prompt_tokens: sum.prompt_tokens + usage.prompt_tokens,
    completion_tokens: sum.completion_tokens + usage.completion_tokens,
    total_tokens: sum.total_tokens + usage.total_tokens,
  };
}
