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
  /** One result for each call, in the same order. */
  results: ChatCompletionToolMessageParam[];
}

/** Runs the tools of a turn. Made by `createTools` of `chat-handler/tools`. */
export interface ToolRunner {
  /** The tools as the model request lists them. */
  params: ChatCompletionFunctionTool[];
  /** Runs the calls of one step. Never rejects: an error of a tool goes to `onError` and becomes a result. */
  run(calls: readonly ChatCompletionMessageFunctionToolCall[], context: ToolContext, onError: (cause: unknown) => void): Promise<ToolStep>;
}
