/** The contract between a turn and its tools. */
import type {
  ChatCompletionFunctionTool,
  ChatCompletionMessageFunctionToolCall,
  ChatCompletionToolMessageParam,
} from "openai/resources/chat/completions";
import type { TurnContext } from "./context.ts";

/** A tool's second argument. */
export interface ToolContext extends TurnContext {
  /** Aborts when the client disconnects or the turn times out. The turn does not wait for a tool after that. */
  signal: AbortSignal;
}

/** The tool calls of one step with their results, in the form that every provider accepts. */
export interface ToolStep {
  /** The calls, each with an id of its own. */
  calls: ChatCompletionMessageFunctionToolCall[];
  /** One result for each call, in the same order. Well-formed text. */
  results: ChatCompletionToolMessageParam[];
}

/** A piece of a tool call. Which pieces belong together is for the {@link ToolStepDraft} to find out. */
export interface ToolCallDelta {
  /** The provider's number of the call. Some give every call the same one. */
  index?: number | undefined;
  /** The provider's id of the call, never empty. Some give every piece another one. */
  id?: string | undefined;
  /** The tool's name, or a piece of it. */
  name?: string | undefined;
  /** A piece of the JSON text. */
  arguments?: string | undefined;
  /** Further fields of the provider, which it wants back: Gemini's signatures. */
  extra?: Record<string, unknown> | undefined;
}

/** Collects the tool calls of one step while the model streams them, and the reasoning that the provider wants back with them. */
export interface ToolStepDraft {
  /** Adds the pieces of one chunk. Returns by how many characters the calls have grown. */
  addCalls(pieces: readonly ToolCallDelta[], isLastChunk: boolean): number;
  /** Adds the whole calls of a last message, unless they are what has come in pieces. Returns by how many characters the calls have grown. */
  addWholeCalls(calls: readonly ToolCallDelta[]): number;
  /** Adds pieces of reasoning under the names that the provider uses. Returns their characters. */
  addReasoning(pieces: Record<string, unknown>): number;
  /** The calls, in the order in which they began. */
  finishCalls(): ChatCompletionMessageFunctionToolCall[];
  /** The reasoning as fields of the message with the calls. */
  finishReasoning(): Record<string, unknown>;
}

/** Runs the tools of a turn. Made by `createTools` of `chat-handler/tools`. */
export interface ToolRunner {
  /** The tools as the model request lists them. */
  params: ChatCompletionFunctionTool[];
  /** Starts the draft of one step. */
  draftStep(): ToolStepDraft;
  /** Runs the calls of one step. Never rejects: an error of a tool goes to `onError` and becomes a result. */
  run(calls: readonly ChatCompletionMessageFunctionToolCall[], context: ToolContext, onError: (cause: unknown) => void): Promise<ToolStep>;
}
