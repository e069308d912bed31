/** One model call within a turn: its chunks become text in the answer and, at the end, what the model said as a whole. */
import type {
  ChatCompletionChunk,
  ChatCompletionCreateParamsStreaming,
  ChatCompletionMessageFunctionToolCall,
} from "openai/resources/chat/completions";
import type { CompletionUsage } from "openai/resources/completions";
import type { Answer } from "./answer.ts";
import { ChatHandlerError } from "./errors.ts";
import { callModel, type ModelCall } from "./model.ts";
import type { Settings } from "./options.ts";

/** What the model said in one call. Grows while it speaks, so that a broken call still tells what was said. */
export interface Said {
  /** Its text so far. */
  readonly text: string;
  /** Its tool calls so far, by the model's own numbering; whole once there is a finish reason. */
  readonly toolCalls: Map<number, ChatCompletionMessageFunctionToolCall>;
  /** Why it ended: proof that the model itself ended it. */
  finishReason: string | undefined;
  /** Tokens, where the model reported them. */
  usage: CompletionUsage | undefined;
}

/** How long a model that gave its finish reason may take to close, in milliseconds: only the usage is still to come. */
const finishGrace = 2_000;

/** An empty start of a step. */
export function beginStep(answer: Answer): Said {
  const mark = answer.mark();
  return {
    get text() {
      return answer.textSince(mark);
    },
    toolCalls: new Map(),
    finishReason: undefined,
    usage: undefined,
  };
}

/**
 * Calls the model and writes what it says into the answer, as fast as the answer has room. Resolves when the model has
 * finished; rejects when the call broke off, for whatever reason, with what was said up to then in `said`.
 */
export async function speak(
  said: Said,
  body: ChatCompletionCreateParamsStreaming,
  answer: Answer,
  settings: Pick<Settings, "client" | "limits" | "timeouts">,
  signal: AbortSignal,
): Promise<void> {
  const { client, limits, timeouts } = settings;
  const watch = watchdog(signal);
  let call: ModelCall | undefined;
  try {
    watch.expect(timeouts.firstChunk, () => new ChatHandlerError("model_timeout", "The model did not begin to answer in time."));
    call = await callModel(client, body, watch.signal);
    let callCharacters = 0;
    for (;;) {
      const chunks = await call.read();
      if (!chunks) break;
      watch.pause();
      for (const chunk of chunks) callCharacters += take(chunk, said, answer);
      if (answer.length + callCharacters > limits.answerCharacters) {
        throw new ChatHandlerError("answer_too_large", `The answer is longer than ${limits.answerCharacters} characters.`);
      }
      // Held back here, the model's connection fills up and the provider waits.
      while (answer.isFull() && !signal.aborted) await answer.room();
      if (said.finishReason === undefined) watch.expect(timeouts.idle, idle);
      else watch.expect(finishGrace, () => finished);
    }
  } catch (error) {
    if (error !== finished) throw error;
  } finally {
    watch.stop();
    call?.close();
  }
  if (said.finishReason === undefined) {
    throw new ChatHandlerError("model_failed", "The model's answer broke off.", { cause: new Error("The stream ended without a finish reason.") });
  }
}

const finished = new Error("The model had finished.");
const idle = () => new ChatHandlerError("model_timeout", "The model stopped answering.");

/** Takes one chunk in and returns how many characters of tool calls it held. */
function take(chunk: ChatCompletionChunk, said: Said, answer: Answer): number {
  if (chunk.usage) said.usage = chunk.usage;
  const { choices } = chunk;
  // Azure sends a chunk without choices first, usage comes in one last.
  if (!Array.isArray(choices)) return 0;
  let callCharacters = 0;
  for (const choice of choices) {
    // Asked for one choice; a further one is nobody's answer.
    if (!choice || (choice.index ?? 0) !== 0) continue;
    const { delta } = choice;
    if (delta) {
      const text = delta.content ?? delta.refusal ?? "";
      if (typeof text !== "string") throw new ChatHandlerError("model_failed", "The model sent content that is not text.");
      if (text !== "") answer.write(text);
      if (delta.tool_calls) callCharacters += takeToolCalls(delta.tool_calls, said.toolCalls);
    }
    if (choice.finish_reason) said.finishReason = choice.finish_reason;
  }
  return callCharacters;
}

function takeToolCalls(
  deltas: readonly ChatCompletionChunk.Choice.Delta.ToolCall[],
  calls: Map<number, ChatCompletionMessageFunctionToolCall>,
): number {
  let characters = 0;
  for (const { index, id = "", function: part } of deltas) {
    // Some providers number nothing and send each call whole, with its id.
    const number = index ?? (id === "" ? calls.size - 1 : calls.size);
    let call = calls.get(number);
    if (!call) calls.set(number, (call = { id: "", type: "function", function: { name: "", arguments: "" } }));
    if (id !== "") call.id = id;
    call.function.name += part?.name ?? "";
    call.function.arguments += part?.arguments ?? "";
    characters += 1 + id.length + (part?.name?.length ?? 0) + (part?.arguments?.length ?? 0);
  }
  return characters;
}

/**
 * Aborts its signal when what is expected does not come. One timer for the whole call, moved only when it fires: re-arming it at
 * every chunk would cost more than reading the chunk.
 */
function watchdog(outer: AbortSignal) {
  const controller = new AbortController();
  const onAbort = () => controller.abort(outer.reason);
  if (outer.aborted) onAbort();
  outer.addEventListener("abort", onAbort, { once: true });
  let deadline = Infinity;
  let reason: () => Error = idle;
  let timer: ReturnType<typeof setTimeout> | undefined;
  let timerAt = Infinity;

  const arm = () => {
    if (timer !== undefined) clearTimeout(timer);
    timerAt = deadline;
    timer = setTimeout(check, Math.max(deadline - performance.now(), 0));
  };
  const check = () => {
    timer = undefined;
    timerAt = Infinity;
    if (deadline === Infinity) return;
    if (performance.now() >= deadline) controller.abort(reason());
    else arm();
  };
  return {
    signal: controller.signal,
    expect(ms: number, late: () => Error) {
      deadline = performance.now() + ms;
      reason = late;
      if (deadline < timerAt) arm();
    },
    /** Nothing is expected while the client is what we wait for. */
    pause() {
      deadline = Infinity;
    },
    stop() {
      deadline = Infinity;
      if (timer !== undefined) clearTimeout(timer);
      outer.removeEventListener("abort", onAbort);
    },
  };
}
