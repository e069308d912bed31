/** Runs the tools a model calls, so that every call gets exactly one result, whatever the tool does. */
import type {
  ChatCompletionFunctionTool,
  ChatCompletionMessageFunctionToolCall,
  ChatCompletionToolMessageParam,
} from "openai/resources/chat/completions";
import { unlessAborted } from "./deadline.ts";
import type { TurnContext } from "./options.ts";

/** What a tool gets besides its arguments. */
export interface ToolContext extends TurnContext {
  /** Aborts when the client leaves or the turn runs out of time. Nothing waits for a tool after that. */
  signal: AbortSignal;
}

/** A function the model may call. */
export interface ChatTool {
  /** At most 64 letters, digits, `_` and `-`. */
  name: string;
  /** Tells the model what it is for. */
  description?: string | undefined;
  /** JSON Schema of the arguments. The arguments come from the model: check them in `run`. @default no arguments */
  parameters?: Record<string, unknown> | undefined;
  /** Has the provider hold the arguments to the schema, where it can. */
  strict?: boolean | undefined;
  /**
   * Does the work. A string goes to the model as it is, anything else as JSON. When it throws, the model is told only that the tool
   * failed, and the whole error goes to `onError`; return what the model should know.
   *
   * @param args - The arguments, parsed from JSON and otherwise as the model sent them.
   */
  run(args: unknown, context: ToolContext): unknown;
}

/** The tools in the form the model is told of them. */
export function toolParams(tools: readonly ChatTool[]): ChatCompletionFunctionTool[] {
  return tools.map(({ name, description, parameters, strict }) => ({
    type: "function",
    function: {
      name,
      ...(description !== undefined && { description }),
      ...(parameters !== undefined && { parameters }),
      ...(strict !== undefined && { strict }),
    },
  }));
}

/**
 * Runs the calls of one step at once and gives one result for each, in order. Never rejects: a tool that throws, an unknown
 * name, arguments that are no JSON and an abort all become results.
 */
export function runTools(
  calls: readonly ChatCompletionMessageFunctionToolCall[],
  tools: readonly ChatTool[],
  context: ToolContext,
  onError: (cause: unknown, tool: string) => void,
): Promise<ChatCompletionToolMessageParam[]> {
  const results = calls.map(async ({ id, function: { name, arguments: text } }): Promise<ChatCompletionToolMessageParam> => {
    const answer = (content: string): ChatCompletionToolMessageParam => ({ role: "tool", tool_call_id: id, content });
    const tool = tools.find((candidate) => candidate.name === name);
    if (!tool) return answer(problem("There is no tool of that name."));
    let args: unknown;
    try {
      args = text.trim() === "" ? {} : JSON.parse(text);
    } catch {
      return answer(problem("The arguments are not valid JSON."));
    }
    try {
      const started = (async () => tool.run(args, context))();
      const result = await unlessAborted(context.signal, started);
      return answer(typeof result === "string" ? result : (JSON.stringify(result) ?? "null"));
    } catch (error) {
      if (context.signal.aborted) return answer(problem("Stopped before it finished."));
      onError(error, name);
      return answer(problem("The tool failed."));
    }
  });
  return Promise.all(results);
}

const problem = (error: string) => JSON.stringify({ error });
