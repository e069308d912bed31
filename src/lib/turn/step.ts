/** One model call within a turn, and its text so far. */
import type { ChatCompletionMessageFunctionToolCall } from "openai/resources/chat/completions";
import type { CompletionUsage } from "openai/resources/completions";
import { ChatHandlerError } from "../core/errors.ts";
import type { EventLog } from "../core/event-log.ts";
import type { ModelDelta } from "../model/delta.ts";
import { isWholeAnswer } from "../model/finish-reasons.ts";
import { createToolCallDrafts, type ToolCallDrafts } from "../model/tool-calls.ts";
import type { TurnSettings } from "./settings.ts";

/** Collects the chunks of one model call, and appends their text to the log at once. */
export class Step {
  /** Position in the log where its text begins. */
  readonly start: number;
  /** Why the model ended. Proof that the model itself ended the answer. */
  finishReason: string | undefined;
  /** Tokens, if the model reported them. */
  usage: CompletionUsage | undefined;
  /** Whether its message is among the completed steps of the turn. */
  isStored = false;
  /** Characters of the answer so far, with those of the steps before: text, reasoning and tool calls. */
  characters: number;
  #toolCalls: ToolCallDrafts | undefined;
  readonly #log: EventLog;
  readonly #settings: TurnSettings;

  /** @param usedCharacters - Characters of the steps before. */
  constructor(log: EventLog, settings: TurnSettings, usedCharacters: number) {
    this.start = log.length;
    this.characters = usedCharacters;
    this.#log = log;
    this.#settings = settings;
  }

  /** Adds a chunk. */
  append({ text, reasoning, toolCalls, finishReason, usage }: ModelDelta): void {
    if (usage) this.usage = usage;
    // Once a reason says that the answer is not whole, no later one takes that back.
    if (finishReason && isWholeAnswer(this.finishReason ?? "stop")) this.finishReason = finishReason;
    if (reasoning) this.#log.append({ type: "reasoning", text: reasoning });
    if (text) this.#log.append({ type: "text", text });
    if (toolCalls) {
      if (!this.#settings.tools) throw new ChatHandlerError("answer_incomplete", "The model called a tool, but this app has none.");
      this.#toolCalls ??= createToolCallDrafts();
      this.characters += this.#toolCalls.append(toolCalls);
    }
    this.characters += (text?.length ?? 0) + (reasoning?.length ?? 0);
    const { answerCharacters } = this.#settings.limits;
    if (this.characters > answerCharacters) {
      throw new ChatHandlerError("answer_too_large", `The answer is longer than ${answerCharacters} characters.`);
    }
  }

  /** The tool calls of a finished step. */
  get toolCalls(): ChatCompletionMessageFunctionToolCall[] {
    return this.#toolCalls?.finish() ?? [];
  }

  /** The text of this step. */
  get text(): string {
    return this.#log.textFrom(this.start);
  }
}
