/** Runs the tools a model calls, so that every call gets exactly one result, whatever the tool does. */
import type { ChatCompletionMessageFunctionToolCall } from "openai/resources/chat/completions";
import { raceAbort } from "../core/async.ts";
import { ChatHandlerError } from "../core/errors.ts";
import { throwUsageError } from "../core/usage-error.ts";
import type { ToolContext, ToolRunner } from "../core/tool-runner.ts";
import { normalizeToolCall } from "../core/tool-call.ts";

/** A function the model may call. */
export interface ChatTool {
  /** At most 64 letters, digits, `_` and `-`. */
  name: string;
  /** Tells the model what it is for. */
  description?: string | undefined;
  /**
   * JSON Schema of the arguments, not the object of a schema library: with zod, `z.toJSONSchema(schema)`. The arguments come from
   * the model: check them in `run`. @default no arguments
   */
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

/**
 * Tools for the option `tools` of `createChatHandler`. The calls of one step run at the same time. A tool that throws, a name
 * the model made up, arguments that are no JSON and a stop all become results, so that the thread can always go on.
 *
 * @throws TypeError for what is no list of tools, a tool without a proper name or `run`, a field that no tool has, parameters that are
 * no JSON Schema, and two tools of one name.
 */
export function createTools(tools: readonly ChatTool[]): ToolRunner {
  if (!Array.isArray(tools)) throwUsageError("pass an array: createTools([{ name, description, parameters, run }])");
  const byName = new Map<string, ChatTool>();
  for (const [index, tool] of tools.entries()) {
    for (const field of Object.keys(Object(tool))) {
      if (!fields.includes(field)) throwUsageError(`tools[${index}] has a field ${field}, but a tool's fields are ${fields.join(", ")}`);
    }
    if (typeof tool?.name !== "string" || !/^[\w-]{1,64}$/.test(tool.name))
      throwUsageError("a tool's name has 1 to 64 letters, digits, _ and -");
    if (typeof tool.run !== "function") throwUsageError(`the tool ${tool.name} needs a function run(args, context)`);
    if (tool.parameters !== undefined && !isJsonSchema(tool.parameters))
      throwUsageError(`the parameters of the tool ${tool.name} must be a JSON Schema: for zod, pass z.toJSONSchema(schema)`);
    if (byName.has(tool.name)) throwUsageError(`two tools are named ${tool.name}`);
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
      const result = await raceAbort(context.signal, (async () => tool.run(args, context))());
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
    async run(calls, context, onError) {
      const contents = await Promise.all(calls.map((call) => runOne(call, { ...context }, onError)));
      const kept = storeForm(calls);
      return { calls: kept, results: kept.map(({ id }, index) => ({ role: "tool", tool_call_id: id, content: contents[index]! })) };
    },
  };
}

const fields = ["name", "description", "parameters", "strict", "run"];

/** Whether it is a plain object, and not what a schema library makes. */
function isJsonSchema(value: unknown): boolean {
  // Only where JSON would have it: zod hides a "~standard" in the JSON Schemas that it gives.
  if (typeof value !== "object" || !value || Object.keys(value).includes("~standard")) return false;
  // Whatever realm it is from, the prototype of a plain object has none itself.
  const prototype: unknown = Object.getPrototypeOf(value);
  return !prototype || !Object.getPrototypeOf(prototype);
}

/** The calls in the form that is kept, each with an id of its own. The result of one that was mended tells the model what was wrong. */
function storeForm(calls: readonly ChatCompletionMessageFunctionToolCall[]): ChatCompletionMessageFunctionToolCall[] {
  const ids = new Set<string>();
  return calls.map((call) => {
    const id = ids.has(call.id) ? crypto.randomUUID() : call.id;
    ids.add(id);
    return { ...normalizeToolCall(call), id };
  });
}

const problem = (error: string) => JSON.stringify({ error });
