/** What one chunk of a model call says, in one form for all providers. */
import type { CompletionUsage } from "openai/resources/completions";
import type { ToolCallDelta } from "../core/tool-runner.ts";

/** A chunk. Each field is absent when the chunk has nothing of it. */
export interface ModelDelta {
  text?: string | undefined;
  /** Pieces of the model's reasoning, under the names that the provider uses. */
  reasoning?: Record<string, unknown> | undefined;
  toolCalls?: ToolCallDelta[] | undefined;
  /** The whole message that some providers send at the end, after or instead of its pieces. */
  message?: WholeMessage | undefined;
  finishReason?: FinishReason | undefined;
  usage?: CompletionUsage | undefined;
}

/** A message that arrived in one piece. */
export interface WholeMessage {
  text: string;
  toolCalls: ToolCallDelta[];
}

/** Why the model ended. */
export interface FinishReason {
  /** The provider's word if it is short and safe to store, otherwise `unknown`. */
  word: string;
  /** Whether it says that the answer is whole. */
  isWhole: boolean;
  /** What the provider sent, if it is no known word. For logs, never for clients. */
  unknownWord?: string | undefined;
}
