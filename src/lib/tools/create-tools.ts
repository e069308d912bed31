/** `createTools`: runs the tools that a model calls. Every call gets exactly one result. */
import type { ChatCompletionFunctionTool, ChatCompletionMessageFunctionToolCall } from "openai/resources/chat/completions";
import { raceAbort } from "../core/async.ts";
import { ChatHandlerError } from "../core/errors.ts";
import type { PartialOptions } from "../core/limits.ts";
import { normalizeToolCall } from "../core/tool-call.ts";
import type { ToolContext, ToolRunner } from "../core/tool-runner.ts";
import { throwUsageError } from "../core/usage-error.ts";
import { createToolStepDraft } from "../model/tool-step-draft.ts";
import { createDroppedResult, cutResult, resolveToolLimits, type ToolLimits } from "./tool-limits.ts";

/** A function that the model may call. */
export interface ChatTool {
  /** At most 64 letters, digits, `_` and `-`. */
  name: string;
  /** Explains to the model when to call it. @default none */
  description?: string | undefined;
  /**
   * JSON Schema of the arguments, not an object of a schema library: with zod, pass `z.toJSONSchema(schema)`. The model may ignore it, so
   * validate the arguments in `run`.
   *
   * @default no arguments
   */
  parameters?: Record<string, unknown> | undefined;
  /** Asks the provider to enforce the schema, if it can. @default the provider's */
  strict?: boolean | undefined;
  /**
   * Runs the tool. A string is sent to the model unchanged, any other result as JSON. If it throws, the model learns only that the tool failed,
   * and `onError` receives the error. To tell the model what went wrong, return it.
   *
   * @param args - Parsed JSON, not validated. It can have an own `__proto__`: do not merge it into another object.
   */
  run(args: unknown, context: ToolContext): unknown;
}

/**
 * Creates the value of the option `tools` of `createChatHandler`. A few calls of a step run at the same time. Every call gets a result,
 * also if the tool throws or is stopped, if there is no tool with its name, or if its arguments are not JSON.
 *
 * @param limits - Bounds the calls of a step and their results.
 * @throws TypeError if `tools` is not an array, a limit is not a whole number from 1, two tools have the same name, or a tool has a wrong or unknown field. The message names the fix.
 *
 * @example
 * const tools = createTools([
 *   {
 *     name: "get_weather",
 *     description: "Returns today's weather of a city.",
 *     parameters: { type: "object", properties: { city: { type: "string" } }, required: ["city"] },
 *     run: (args, { signal }) => fetchWeather(args, signal),
 *   },
 * ]);
 */
export function createTools(tools: readonly ChatTool[], limits: PartialOptions<ToolLimits> = {}): ToolRunner {
  const toolLimits = resolveToolLimits(limits);
  if (!Array.isArray(tools)) throwUsageError("Pass an array: createTools([{ name, description, parameters, run }]).");
  const toolsByName = new Map<string, ChatTool>();
  for (const [index, tool] of tools.entries()) {
    checkTool(tool, index);
    if (toolsByName.has(tool.name)) throwUsageError(`Two tools are named ${tool.name}. Rename one of them.`);
    toolsByName.set(tool.name, tool);
  }

  async function runCall(
    { function: { name, arguments: json } }: ChatCompletionMessageFunctionToolCall,
    context: ToolContext,
    onError: (cause: unknown) => void,
  ): Promise<string> {
    const tool = toolsByName.get(name);
    if (!tool) return createErrorResult("There is no tool with this name.");
    if (context.signal.aborted) return createErrorResult("Stopped before it started.");
    let args: unknown;
    try {
      args = json.trim() === "" ? {} : JSON.parse(json);
    } catch {
      return createErrorResult("The arguments are not valid JSON.");
    }
    try {
      const result = await raceAbort(context.signal, (async () => tool.run(args, context))());
      return cutResult(typeof result === "string" ? result : (JSON.stringify(result) ?? "null"), toolLimits);
    } catch (error) {
      if (context.signal.aborted) return createErrorResult("Stopped before it finished.");
      const cause = new Error(`The tool ${name} failed.`, { cause: error });
      onError(new ChatHandlerError("internal", "A tool failed.", { cause }));
      return createErrorResult("The tool failed.");
    }
  }

  return {
    params: tools.map(toParam),
    draftStep: createToolStepDraft,
    async run(calls, context, onError) {
      const contents: string[] = [];
      const queue = calls.slice(0, toolLimits.calls).entries();
      async function runNext(): Promise<void> {
        // Each tool gets its own context: what one tool changes there does not reach the others.
        for (const [index, call] of queue) contents[index] = await runCall(call, { ...context }, onError);
      }
      await Promise.all(Array.from({ length: Math.min(toolLimits.concurrency, calls.length) }, runNext));
      const dropped = calls.length - contents.length;
      if (dropped > 0) contents.push(createDroppedResult(dropped, toolLimits));
      const storedCalls = normalizeCalls(calls.slice(0, contents.length));
      const results = storedCalls.map(({ id }, index) => ({ role: "tool" as const, tool_call_id: id, content: contents[index]! }));
      return { calls: storedCalls, results };
    },
  };
}

const toolFields: readonly string[] = ["name", "description", "parameters", "strict", "run"];

function checkTool(tool: ChatTool, index: number): void {
  for (const field of Object.keys(Object(tool))) {
    if (toolFields.includes(field)) continue;
    throwUsageError(`tools[${index}] has the unknown field ${field}, but a tool's fields are ${toolFields.join(", ")}`);
  }
  if (typeof tool?.name !== "string" || !/^[\w-]{1,64}$/.test(tool.name)) {
    throwUsageError(`tools[${index}] has a wrong name: a tool's name has 1 to 64 letters, digits, _ or -.`);
  }
  if (typeof tool.run !== "function") throwUsageError(`The tool ${tool.name} has no function run(args, context).`);
  if (tool.parameters !== undefined && !isJsonSchema(tool.parameters)) {
    throwUsageError(`The parameters of the tool ${tool.name} must be a JSON Schema. With zod, pass z.toJSONSchema(schema).`);
  }
}

/** Whether a value is a plain object, and not an object of a schema library. */
function isJsonSchema(value: unknown): boolean {
  // Only enumerable keys: zod adds a hidden "~standard" to the JSON Schemas that it creates.
  if (typeof value !== "object" || !value || Object.keys(value).includes("~standard")) return false;
  // The prototype of a plain object has no prototype, even if the object comes from another realm.
  const prototype: unknown = Object.getPrototypeOf(value);
  return !prototype || !Object.getPrototypeOf(prototype);
}

/** Omits absent fields, because some providers reject `null`. */
function toParam({ name, description, parameters, strict }: ChatTool): ChatCompletionFunctionTool {
  return {
    type: "function",
    function: {
      name,
      ...(description !== undefined && { description }),
      ...(parameters !== undefined && { parameters }),
      ...(strict !== undefined && { strict }),
    },
  };
}

/** Makes every call valid, with an id of its own. The result of an invalid call tells the model what was wrong with it. */
function normalizeCalls(calls: readonly ChatCompletionMessageFunctionToolCall[]): ChatCompletionMessageFunctionToolCall[] {
  const ids = new Set<string>();
  return calls.map((call) => {
    const id = ids.has(call.id) ? crypto.randomUUID() : call.id;
    ids.add(id);
    return { ...normalizeToolCall(call), id };
  });
}

function createErrorResult(error: string): string {
  return JSON.stringify({ error });
}
