/** A call of a tool, as every provider takes it back. */
import type { ChatCompletionMessageFunctionToolCall } from "openai/resources/chat/completions";

/**
 * The call with a name that it may have, and arguments that are a JSON object: one that a provider refuses would be refused again at
 * every later turn of its thread.
 */
export function asTaken(call: ChatCompletionMessageFunctionToolCall): ChatCompletionMessageFunctionToolCall {
  // What somebody else put into the database may have anything there.
  const { name, arguments: given } = Object(call.function) as Record<string, string | number | undefined>;
  const proper = String(name ?? "").replace(/[^\w-]/g, "_");
  const json = String(given);
  return { ...call, type: "function", function: { name: proper.slice(0, 64) || "_", arguments: isObject(json) ? json : "{}" } };
}

function isObject(json: string): boolean {
  try {
    return Object.getPrototypeOf(JSON.parse(json)) === Object.prototype;
  } catch {
    return false;
  }
}
