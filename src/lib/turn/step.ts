/** One model call within a turn: its chunks become text in the answer and, at the end, what the model said as a whole. */
import type { ChatCompletionChunk } from "openai/resources/chat/completions";
import type { CompletionUsage } from "openai/resources/completions";
import type { Answer } from "./answer.ts";
import { ChatHandlerError } from "../core/errors.ts";
import type { ChunkSink } from "../model/model.ts";
import type { Settings } from "../chat/options.ts";
import type { SaidCall } from "../tools/create-tools.ts";

/** How the finish reason of a whole answer begins, by whatever provider. With any other word a part could pass for a whole. */
export const wholeEnding: RegExp = /^(stop|end|eos|tool|func|complete|done|finish|success)/i;

/** What the model says in one call. Grows while it speaks, so that a broken call still tells what was said. */
export class Step implements ChunkSink {
  /** Where in the answer its text begins. */
  declare readonly start: number;
  /** Its tool calls so far, where it made any; whole once there is a finish reason. */
  toolCalls: SaidCall[] | undefined;
  /** Why it ended: proof that the model itself ended it. */
  finishReason: string | undefined;
  /** Tokens, where the model reported them. */
  usage: CompletionUsage | undefined;
  /** How many chunks have come. */
  chunks = 0;
  #toolCharacters = 0;
  readonly #answer: Answer;
  readonly #settings: Settings;

  constructor(answer: Answer, settings: Settings) {
    this.start = answer.length;
    this.#answer = answer;
    this.#settings = settings;
  }

  take({ usage, choices }: ChatCompletionChunk): void {
    this.chunks++;
    if (usage && typeof usage === "object") this.usage = usage;
    // Azure sends a chunk without choices first, usage comes in one last; and a further choice than the first is nobody's answer.
    const choice = Array.isArray(choices) && choices.find((choice) => !choice?.index);
    if (!choice) return;
    const { delta, finish_reason } = choice;
    // What says that the answer is not whole is not taken back.
    if (finish_reason && wholeEnding.test(this.finishReason ?? "stop")) this.finishReason = finish_reason;
    const text = delta?.content || delta?.refusal || "";
    if (typeof text !== "string") throw new ChatHandlerError("model_failed", "The model sent no text.");
    if (text) this.#answer.write(text);
    const { limits, tools } = this.#settings;
    if (delta?.tool_calls?.length) {
      if (!tools) throw new ChatHandlerError("answer_incomplete", "The model called a tool, and there is none.");
      this.#toolCharacters += tools.gather(delta.tool_calls, (this.toolCalls ??= []));
    }
    if (this.#answer.length + this.#toolCharacters > limits.answerCharacters) {
      throw new ChatHandlerError("answer_too_large", `The answer is longer than ${limits.answerCharacters} characters.`);
    }
  }
}

/** All that a provider counts, of two calls together. */
export function sumUsage(a: CompletionUsage | undefined, b: CompletionUsage | undefined): CompletionUsage | undefined {
  if (!a || !b) return a ?? b;
  const total: CompletionUsage & Record<string, unknown> = { ...b };
  const number = (count: unknown) => (Number.isFinite(count) ? (count as number) : 0);
  for (const [name, count] of Object.entries(a)) if (number(count)) total[name] = number(count) + number(total[name]);
  return total;
}
