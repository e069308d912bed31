/** Tool calls in a form that every provider accepts. */
import type { ChatCompletionMessageFunctionToolCall } from "openai/resources/chat/completions";

/**
 * Gives a call a legal name, and arguments that are a JSON object. A provider that rejects a call would reject it again at every later turn
 * of the thread.
 */
export function normalizeToolCall(call: ChatCompletionMessageFunctionToolCall): ChatCompletionMessageFunctionToolCall {
  // A row that somebody else wrote may contain anything.
  const { name, arguments: args } = Object(call.function) as Record<string, string | number | undefined>;
  const legalName = String(name ?? "")
    .replace(/[^\w-]/g, "_")
    .slice(0, 64);
  const json = String(args);
  return { ...call, type: "function", function: { name: legalName || "_", arguments: isJsonObject(json) ? json : "{}" } };
}

function isJsonObject(json: string): boolean {
  try {
    const value: unknown = JSON.parse(json);
    return typeof value === "object" && value !== null && !Array.isArray(value);
  } catch {
    return false;
  }
}
