/** One model call within a turn, and its text so far. */
import type { ChatCompletionMessageFunctionToolCall } from "openai/resources/chat/completions";
import type { CompletionUsage } from "openai/resources/completions";
import { ChatHandlerError } from "../core/errors.ts";
import type { EventLog } from "../core/event-log.ts";
import type { ToolStepDraft } from "../core/tool-runner.ts";
import type { FinishReason, ModelDelta, WholeMessage } from "../model/delta.ts";
import { mergeUsage } from "../model/usage.ts";
import type { TurnSettings } from "./settings.ts";

/** Collects the chunks of one model call, and appends their text to the log at once. */
export class Step {
  /** Position in the log where its text begins. */
  readonly start: number;
  /** Why the model ended. Proof that the model itself ended the answer. */
  finish: FinishReason | undefined;
  /** Whether text or tool calls came after a finish reason: it came too early, and proves nothing yet. */
  isFinishEarly = false;
  /** Tokens, if the model reported them. */
  usage: CompletionUsage | undefined;
  /** Whether its message is among the completed steps of the turn. */
  isStored = false;
  /** Characters of the answer so far, with those of the steps before: text, reasoning and tool calls. */
  characters: number;
  /** What the tools need of this step, once there is any of it. */
  #draft: ToolStepDraft | undefined;
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
  append(delta: ModelDelta): void {
    const { text, reasoning, toolCalls, message, finishReason, usage } = delta;
    if (this.finish && isPiece(delta)) this.isFinishEarly = true;
    if (usage) this.usage = mergeUsage(this.usage, usage);
    // Once a reason says that the answer is not whole, no later one takes that back.
    if (finishReason && this.finish?.isWhole !== false) this.finish = finishReason;
    if (reasoning) this.#addReasoning(reasoning);
    if (text) this.#addText(text);
    if (toolCalls) this.characters += this.#draftCalls().addCalls(toolCalls, finishReason !== undefined);
    if (message) this.#addMessage(message);
    const { answerCharacters } = this.#settings.limits;
    if (this.characters > answerCharacters) {
      throw new ChatHandlerError("answer_too_large", `The answer is longer than ${answerCharacters} characters.`);
    }
  }

  /** The finish reason, short enough to store. */
  get finishReason(): string | undefined {
    return this.finish?.word;
  }

  /** The tool calls of a finished step. */
  get toolCalls(): ChatCompletionMessageFunctionToolCall[] {
    return this.#draft?.finishCalls() ?? [];
  }

  /** The text of this step. */
  get text(): string {
    return this.#log.textFrom(this.start);
  }

  /** The reasoning that goes back with the tool calls, in the provider's own fields. */
  get reasoning(): Record<string, unknown> {
    return this.#draft?.finishReasoning() ?? {};
  }

  #addText(text: string): void {
    this.#log.append({ type: "text", text });
    this.characters += text.length;
  }

  /** Kept for the provider if there are tools. The event has the text; a provider that sends it in two fields means it once. */
  #addReasoning(pieces: Record<string, unknown>): void {
    const text = Object.values(pieces).find((piece) => typeof piece === "string");
    if (text) this.#log.append({ type: "reasoning", text });
    const { tools } = this.#settings;
    if (!tools) {
      this.characters += text?.length ?? 0;
      return;
    }
    this.#draft ??= tools.draftStep();
    this.characters += this.#draft.addReasoning(pieces);
  }

  /** A whole message counts only as far as its pieces have not come before. */
  #addMessage({ text, toolCalls }: WholeMessage): void {
    if (text && this.text === "") this.#addText(text);
    if (toolCalls.length > 0) this.characters += this.#draftCalls().addWholeCalls(toolCalls);
  }

  #draftCalls(): ToolStepDraft {
    const { tools } = this.#settings;
    if (!tools) throw new ChatHandlerError("answer_incomplete", "The model called a tool, but this app has none.");
    this.#draft ??= tools.draftStep();
    return this.#draft;
  }
}

/** Whether a chunk carries a piece of the answer. Usage and keep-alives do not. */
export function isPiece({ text, reasoning, toolCalls, message }: ModelDelta): boolean {
  return Boolean(text || reasoning || toolCalls || message?.text || message?.toolCalls.length);
}
