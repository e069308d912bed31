/** A call of a tool, as every provider takes it back. */
import type { ChatCompletionMessageFunctionToolCall } from "openai/resources/chat/completions";

/**
 * The call with a name it may have, and arguments that are a JSON object. One that a provider refuses would be refused again at every
 * later turn of its thread.
 */
export function asTaken(call: ChatCompletionMessageFunctionToolCall): ChatCompletionMessageFunctionToolCall {
  // What somebody else put into the database may have none.
  const { name = "", arguments: given = "" } = call.function ?? {};
  const proper =
    String(name)
      .replace(/[^\w-]/g, "_")
      .slice(0, 64) || "_";
  return { ...call, type: "function", function: { name: proper, arguments: isObject(given) ? given : "{}" } };
}

function isObject(json: string): boolean {
  try {
    return Object.getPrototypeOf(JSON.parse(json)) === Object.prototype;
  } catch {
    return false;
  }
}
