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
  return { ...call, type: "function", function: { name: legalName || "_", arguments: toObjectJson(String(args)) } };
}

/** The text of a JSON object, without half of a surrogate pair, which JSON can hide in an escape. `{}` for anything else. */
function toObjectJson(json: string): string {
  try {
    const value: unknown = JSON.parse(json);
    if (typeof value !== "object" || value === null || Array.isArray(value)) return "{}";
    if (!/\\ud[89a-f]/i.test(json)) return json.toWellFormed();
    return JSON.stringify(value, (_, field: unknown) => (typeof field === "string" ? field.toWellFormed() : field)).toWellFormed();
  } catch {
    return "{}";
  }
}
