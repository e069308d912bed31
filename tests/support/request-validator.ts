/**
 * Checks a request like the strictest provider: OpenAI's API reference on chat completions, and the rules that other providers add to it.
 * Every request that a test's model receives passes it.
 */
import type { ChatCompletionCreateParamsStreaming } from "openai/resources/chat/completions";

/** What is wrong with a request. */
export interface RequestProblem {
  message: string;
  param: string;
}

type Fields = Record<string, unknown>;

const partKinds: Record<string, readonly string[]> = {
  system: ["text"],
  developer: ["text"],
  user: ["text", "image_url", "input_audio", "file"],
  assistant: ["text", "refusal"],
  tool: ["text"],
};
/** Reasoning goes back beside tool calls, and only there. */
const reasoningFields = ["reasoning_content", "reasoning", "reasoning_details", "thinking_blocks", "reasoning_text", "reasoning_opaque"];
const fields: Record<string, readonly string[]> = {
  system: ["role", "content", "name"],
  developer: ["role", "content", "name"],
  user: ["role", "content", "name"],
  assistant: ["role", "content", "name", "tool_calls", ...reasoningFields],
  tool: ["role", "content", "tool_call_id"],
};

/** Returns the first problem of a request. */
export function findRequestProblem(request: Pick<ChatCompletionCreateParamsStreaming, "messages">): RequestProblem | undefined {
  if (!JSON.stringify(request).isWellFormed() || /\\ud[89a-f]/i.test(JSON.stringify(request))) {
    return { message: "Half of a surrogate pair.", param: "messages" };
  }
  const messages = request.messages as unknown as Fields[];
  const usedIds = new Set<unknown>();
  let unanswered: unknown[] = [];
  for (const [index, message] of messages.entries()) {
    const fail = (text: string) => ({ message: text, param: `messages[${index}]` });
    const role = String(message["role"]);
    if (!Object.hasOwn(fields, role)) return fail(`Unknown role ${role}.`);
    const extra = Object.keys(message).find((name) => !fields[role]!.includes(name));
    if (extra) return fail(`Extra inputs are not permitted: ${extra}.`);
    const { name } = message;
    if (name !== undefined && (typeof name !== "string" || !/^[\w-]{1,64}$/.test(name))) return fail("Not a name.");
    if (role === "tool") {
      if (unanswered[0] !== message["tool_call_id"]) return fail("A result must answer the next call.");
      unanswered.shift();
      if (typeof message["content"] !== "string") return fail("A result must be text.");
      continue;
    }
    if (unanswered.length > 0) return fail("A call has no result.");
    const calls = message["tool_calls"];
    const problem = findContentProblem(message["content"], role, calls !== undefined);
    if (problem) return fail(problem);
    if (calls === undefined) {
      if (reasoningFields.some((name) => name in message)) return fail("Reasoning without a tool call.");
      continue;
    }
    if (!Array.isArray(calls) || calls.length === 0) return fail("tool_calls must not be empty.");
    for (const call of calls as Fields[]) {
      const callProblem = findCallProblem(call, usedIds);
      if (callProblem) return fail(callProblem);
      usedIds.add(call["id"]);
    }
    unanswered = (calls as Fields[]).map(({ id }) => id);
  }
  if (unanswered.length > 0) return { message: "The last calls have no results.", param: "messages" };
  return messages.some(({ role }) => role === "user") ? undefined : { message: "There is no prompt.", param: "messages" };
}

function findContentProblem(content: unknown, role: string, hasCalls: boolean): string | undefined {
  if (content === null && hasCalls) return undefined;
  if (typeof content === "string") return content.trim() ? undefined : "Content is empty.";
  if (!Array.isArray(content) || content.length === 0) return "Content must be text or parts.";
  const kinds = (content as Fields[]).map(({ type }) => String(type));
  const wrong = kinds.find((kind) => !partKinds[role]!.includes(kind));
  return wrong && `Not a part of a message with role ${role}: ${wrong}.`;
}

function findCallProblem(call: Fields, usedIds: ReadonlySet<unknown>): string | undefined {
  if (!/^[\w-]{1,40}$/.test(String(call["id"]))) return `Not an id: ${String(call["id"])}.`;
  if (usedIds.has(call["id"])) return `An id twice: ${String(call["id"])}.`;
  if (call["type"] === "custom") return undefined;
  const { name, arguments: args } = (call["function"] ?? {}) as { name?: unknown; arguments?: unknown };
  if (typeof name !== "string" || !/^[\w-]{1,64}$/.test(name)) return "Not a name of a function.";
  try {
    const parsed: unknown = JSON.parse(String(args));
    return typeof parsed === "object" && parsed !== null && !Array.isArray(parsed) ? undefined : "Arguments must be an object.";
  } catch {
    return "Arguments must be JSON.";
  }
}
