/** Runs the tools a model calls, so that every call gets exactly one result, whatever the tool does. */
import type {
  ChatCompletionChunk,
  ChatCompletionFunctionTool,
  ChatCompletionMessageFunctionToolCall,
  ChatCompletionToolMessageParam,
} from "openai/resources/chat/completions";
import { unlessAborted } from "./deadline.ts";
import { ChatHandlerError } from "./errors.ts";
import type { TurnContext } from "./options.ts";
import { misuse } from "./options-check.ts";

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

/** The calls of one step, by the model's own numbering. */
export type ToolCalls = Map<number, ChatCompletionMessageFunctionToolCall>;

/** What a turn asks of tools. Made by {@link createTools}. */
export interface ToolRunner {
  /** The tools in the form the model is told of them. */
  params: ChatCompletionFunctionTool[];
  /** Takes in what a chunk says of calls, by the model's own numbering, and returns how many characters that was. */
  gather(deltas: readonly ChatCompletionChunk.Choice.Delta.ToolCall[], calls: ToolCalls): number;
  /**
   * Runs the calls of one step and resolves to one result for each, in order. Never rejects; errors of the tools' own go to
   * `onError`.
   */
  run(
    calls: readonly ChatCompletionMessageFunctionToolCall[],
    context: ToolContext,
    onError: (cause: unknown) => void,
  ): Promise<ChatCompletionToolMessageParam[]>;
}

/**
 * Tools for the option `tools` of `createChatHandler`. The calls of one step run at the same time. A tool that throws, a name
 * the model made up, arguments that are no JSON and a stop all become results, so that the thread can always go on.
 *
 * @throws TypeError for a tool without a proper name or `run`, and for two of one name.
 */
export function createTools(tools: readonly ChatTool[]): ToolRunner {
  const byName = new Map<string, ChatTool>();
  for (const tool of tools) {
    if (typeof tool.name !== "string" || !/^[\w-]{1,64}$/.test(tool.name)) misuse("a tool's name has 1 to 64 letters, digits, _ and -");
    if (typeof tool.run !== "function") misuse(`the tool ${tool.name} needs a function run(args, context)`);
    if (byName.has(tool.name)) misuse(`two tools are named ${tool.name}`);
    byName.set(tool.name, tool);
  }

  const runOne = async (
    { function: { name, arguments: text } }: ChatCompletionMessageFunctionToolCall,
    context: ToolContext,
    onError: (cause: unknown) => void,
  ): Promise<string> => {
    const tool = byName.get(name);
    if (!tool) return problem("There is no tool of that name.");
    let args: unknown;
    try {
      args = text.trim() === "" ? {} : JSON.parse(text);
    } catch {
      return problem("The arguments are not valid JSON.");
    }
    try {
      const result = await unlessAborted(context.signal, (async () => tool.run(args, context))());
      return typeof result === "string" ? result : (JSON.stringify(result) ?? "null");
    } catch (error) {
      if (context.signal.aborted) return problem("Stopped before it finished.");
      const cause = new Error(`The tool ${name} failed.`, { cause: error });
      onError(new ChatHandlerError("internal", "A tool failed.", { cause }));
      return problem("The tool failed.");
    }
  };

  return {
    params: tools.map(({ name, description, parameters, strict }) => ({
      type: "function",
      function: {
        name,
        ...(description !== undefined && { description }),
        ...(parameters !== undefined && { parameters }),
        ...(strict !== undefined && { strict }),
      },
    })),
    gather(deltas, calls) {
      let characters = 0;
      for (const { index, id, function: part } of deltas) {
        // Some providers number nothing and send each call whole, with its id. What is missing may also be null.
        const number = index ?? calls.size - (id ? 0 : 1);
        const call = calls.get(number) ?? { id: id || crypto.randomUUID(), type: "function", function: { name: "", arguments: "" } };
        calls.set(number, call);
        call.function.name += part?.name ?? "";
        call.function.arguments += part?.arguments ?? "";
        characters += 1 + (id?.length ?? 0) + (part?.name?.length ?? 0) + (part?.arguments?.length ?? 0);
      }
      return characters;
    },
    run: (calls, context, onError) =>
      Promise.all(calls.map(async (call) => ({ role: "tool", tool_call_id: call.id, content: await runOne(call, context, onError) }))),
  };
}

const problem = (error: string) => JSON.stringify({ error });
