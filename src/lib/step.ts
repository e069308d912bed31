/** One model call within a turn: its chunks become text in the answer and, at the end, what the model said as a whole. */
import type { ChatCompletionChunk } from "openai/resources/chat/completions";
import type { CompletionUsage } from "openai/resources/completions";
import type { Answer } from "./answer.ts";
import { ChatHandlerError } from "./errors.ts";
import { type ChunkSink, fromProvider, type ModelCall } from "./model.ts";
import type { Settings } from "./options.ts";
import type { SaidCall } from "./tools.ts";

/** How long a model that gave its finish reason may take to close, in milliseconds: only the usage is still to come. */
const finishGrace = 2_000;

/** The turn, as far as a step knows it. */
export interface Asker {
  /** Why it was aborted, where it was. */
  readonly reason: ChatHandlerError | undefined;
  /** The call that is under way. The turn closes it where it is aborted, and takes it away where a model that has finished does not end. */
  call: ModelCall | undefined;
  /** Throws the reason. */
  throwIfAborted(): void;
  /** Asks the model, whose chunks go to the sink. */
  ask(sink: ChunkSink): Promise<ModelCall>;
  /** Hears within how many milliseconds the model must say more. */
  expect(ms: number): void;
  /** Hears when a model that has finished must have ended, by `performance.now()`. */
  expectEnd(at: number): void;
}

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
  #chunks = 0;
  #endsAt: number | undefined;
  #toolCharacters = 0;
  readonly #answer: Answer;
  readonly #settings: Settings;

  constructor(answer: Answer, settings: Settings) {
    this.start = answer.length;
    this.#answer = answer;
    this.#settings = settings;
  }

  /**
   * Asks the model and writes what it says into the answer, as fast as the answer has room. Resolves when the model has
   * finished; rejects when the call broke off, for whatever reason.
   */
  async speak(turn: Asker): Promise<void> {
    const { timeouts } = this.#settings;
    try {
      turn.throwIfAborted();
      turn.expect(timeouts.firstChunk);
      turn.call = await turn.ask(this);
      // It may have been aborted before there was anything to close; from here on an abort ends the reads.
      while (turn.call && !turn.reason) {
        const seen = this.#chunks;
        const read = await turn.call.read();
        if (!turn.call || turn.call.take(read)) break;
        // Comments keep a connection open, but say nothing.
        if (this.#chunks === seen) continue;
        // Held back here, the model's connection fills up and the provider waits; meanwhile nothing is expected of it.
        while (this.#answer.isFull() && !turn.reason) {
          turn.expect(Infinity);
          await this.#answer.changed();
        }
        if (this.finishReason) turn.expectEnd((this.#endsAt ??= performance.now() + finishGrace));
        else turn.expect(timeouts.idle);
      }
      turn.throwIfAborted();
    } catch (error) {
      throw fromProvider(turn.reason ?? error);
    } finally {
      turn.expect(Infinity);
      turn.call?.close();
      turn.call = undefined;
    }
    if (!this.finishReason) throw new ChatHandlerError("model_failed", "The model's answer broke off.");
  }

  take({ usage, choices }: ChatCompletionChunk): void {
    this.#chunks++;
    if (usage && typeof usage === "object") this.usage = usage;
    // Azure sends a chunk without choices first, usage comes in one last; and a further choice than the first is nobody's answer.
    const choice = Array.isArray(choices) && choices.find((choice) => !choice?.index);
    if (!choice) return;
    const { delta, finish_reason } = choice;
    if (finish_reason) this.finishReason = finish_reason;
    const text = delta?.content ?? delta?.refusal ?? "";
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
