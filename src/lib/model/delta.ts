/** What one chunk of a model call says, in one form for all providers. */
import type { CompletionUsage } from "openai/resources/completions";

/** A piece of a tool call. Which pieces belong together is for {@link createToolCallDrafts} to find out. */
export interface ToolCallDelta {
  index?: number | null | undefined;
  id?: string | null | undefined;
  name?: string | null | undefined;
  arguments?: string | null | undefined;
  /** Further fields of the provider, which it wants back: Gemini's signatures. */
  extra?: Record<string, unknown> | undefined;
}

/** A chunk. Each field is absent when the chunk has nothing of it. */
export interface ModelDelta {
  text?: string | undefined;
  reasoning?: string | undefined;
  toolCalls?: ToolCallDelta[] | undefined;
  finishReason?: string | undefined;
  usage?: CompletionUsage | undefined;
}
