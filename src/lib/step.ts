/** One model call within a turn: its chunks become text in the answer and, at the end, what the model said as a whole. */
import type { ChatCompletionChunk } from "openai/resources/chat/completions";
import type { CompletionUsage } from "openai/resources/completions";
import type { Answer } from "./answer.ts";
import { within } from "./deadline.ts";
import { ChatHandlerError } from "./errors.ts";
import { fromProvider, type ModelCall, type OnChunk } from "./model.ts";
import type { Settings } from "./options.ts";
import type { ToolCalls, ToolRunner } from "./tools.ts";

/** What the model said in one call. Grows while it speaks, so that a broken call still tells what was said. */
export interface Said {
  /** Where in the answer its text begins. */
  start: number;
  /** Its tool calls so far, where it made any; whole once there is a finish reason. */
  toolCalls?: ToolCalls | undefined;
  /** Why it ended: proof that the model itself ended it. */
  finishReason?: string | undefined;
  /** Tokens, where the model reported them. */
  usage?: CompletionUsage | undefined;
}

/** How long a model that gave its finish reason may take to close, in milliseconds: only the usage is still to come. */
const finishGrace = 2_000;
const overdue = new Error();

/** The turn, as far as a step knows it. */
export interface Asker {
  /** Asks the model, whose chunks go to `onChunk`. */
  ask(onChunk: OnChunk): Promise<ModelCall>;
  /** Hears within how many milliseconds the model must say more. */
  expect(ms: number): void;
}

/**
 * Asks the model and writes what it says into the answer, as fast as the answer has room. Resolves when the model has
 * finished; rejects when the call broke off, for whatever reason, with what was said up to then in `said`.
 */
export async function speak(
  said: Said,
  turn: Asker,
  answer: Answer,
  { limits, timeouts, tools }: Settings,
  signal: AbortSignal,
): Promise<void> {
  let call: ModelCall | undefined;
  let chunks = 0;
  let toolCharacters = 0;
  try {
    signal.throwIfAborted();
    turn.expect(timeouts.firstChunk);
    call = await turn.ask((chunk) => {
      chunks++;
      toolCharacters += take(chunk, said, answer, tools);
      if (answer.length + toolCharacters > limits.answerCharacters) {
        throw new ChatHandlerError("answer_too_large", `The answer is longer than ${limits.answerCharacters} characters.`);
      }
    });
    let closesBy = 0;
    // It may have aborted before there was anything to cancel; from here on an abort ends the reads.
    signal.throwIfAborted();
    for (;;) {
      const seen = chunks;
      const read = call.read();
      if (said.finishReason) {
        turn.expect(Infinity);
        closesBy ||= performance.now() + finishGrace;
      }
      const given = await (closesBy ? within(Math.max(0, closesBy - performance.now()), read, () => overdue) : read);
      if (call.take(given)) break;
      // Comments keep a connection open, but say nothing.
      if (chunks === seen) continue;
      // Held back here, the model's connection fills up and the provider waits; meanwhile nothing is expected of it.
      while (answer.isFull() && !signal.aborted) {
        turn.expect(Infinity);
        await answer.changed();
      }
      turn.expect(timeouts.idle);
    }
    signal.throwIfAborted();
  } catch (error) {
    // A model that gave its reason had finished, whatever keeps its connection open.
    if (error !== overdue) throw fromProvider(signal.aborted ? signal.reason : error);
  } finally {
    turn.expect(Infinity);
    call?.close();
  }
  if (!said.finishReason) throw new ChatHandlerError("model_failed", "The model's answer broke off.");
}

/** Takes one chunk in and returns how many characters of tool calls it held. */
function take({ usage, choices }: ChatCompletionChunk, said: Said, answer: Answer, tools: ToolRunner | undefined): number {
  if (usage && typeof usage === "object") said.usage = usage;
  // Azure sends a chunk without choices first, usage comes in one last; and a further choice than the first is nobody's answer.
  const choice = Array.isArray(choices) && choices.find((choice) => !choice?.index);
  if (!choice) return 0;
  const { delta, finish_reason } = choice;
  if (finish_reason) said.finishReason = finish_reason;
  const text = delta?.content ?? delta?.refusal ?? "";
  if (typeof text !== "string") throw new ChatHandlerError("model_failed", "The model sent no text.");
  if (text) answer.write(text);
  if (!delta?.tool_calls?.length) return 0;
  if (!tools) throw new ChatHandlerError("answer_incomplete", "The model called a tool, and there is none.");
  return tools.gather(delta.tool_calls, (said.toolCalls ??= new Map()));
}
