/**
 * What a thread has become, as messages that every provider accepts. Repairs happen here, on the way to the model, and never in the store.
 */
import type { ChatCompletionMessageParam, ChatCompletionMessageToolCall } from "openai/resources/chat/completions";
import { pickReasoning } from "../core/reasoning.ts";
import type { StoredMessage } from "../core/store.ts";
import { normalizeToolCall } from "../core/tool-call.ts";
import { fitMessages } from "./fit-messages.ts";
import { omitRefusedTurns } from "./refusals.ts";

type Content = ChatCompletionMessageParam["content"];

/** The roles of messages that stand alone. A tool message belongs to its call. */
const lonelyRoles: readonly string[] = ["user", "assistant", "system", "developer"];

/**
 * Returns the newest messages of a thread in the form that a provider accepts: only known fields, no message without content, every tool
 * call with its result and every result with its call, and no partial turn at the start.
 *
 * @param stored - In turn order. The last one is the prompt to answer.
 * @param maxMessages - Most messages that are looked at.
 */
export function toModelMessages(stored: readonly StoredMessage[], maxMessages: number): ChatCompletionMessageParam[] {
  const messages = selectWindow(omitRefusedTurns(stored).slice(-maxMessages));
  return fitMessages(messages.flatMap((message, index) => repairMessage(message, messages, index)));
}

/** The messages from the first prompt on, without answers whose prompt is further back. */
function selectWindow(stored: readonly StoredMessage[]): ChatCompletionMessageParam[] {
  let turn: string | undefined;
  const messages: ChatCompletionMessageParam[] = [];
  for (const { id, promptId, message } of stored) {
    if (message.role === "user" || id === promptId) turn = promptId;
    // An answer that was generated again may be newer than its prompt.
    if (turn === promptId) messages.push(message);
  }
  return messages.slice(messages.findIndex(({ role }) => role === "user"));
}

/** Returns the message with the results of its calls, or nothing if it says nothing. */
function repairMessage(
  message: ChatCompletionMessageParam,
  messages: readonly ChatCompletionMessageParam[],
  index: number,
): ChatCompletionMessageParam[] {
  const content = repairContent(message.content);
  if (message.role === "assistant" && message.tool_calls) {
    const results = findResults(messages, index);
    const calls: ChatCompletionMessageToolCall[] = [];
    const answers: ChatCompletionMessageParam[] = [];
    for (const call of Object.values(message.tool_calls)) {
      const result = call?.id && results.get(call.id);
      if (!result) continue;
      calls.push("custom" in call ? call : normalizeToolCall(call));
      answers.push(pickKnownFields(result, { content: repairContent(result.content) ?? "", tool_call_id: call.id }));
      // A second call with this id has no result.
      results.delete(call.id);
    }
    if (calls.length > 0) return [pickKnownFields(message, { content, tool_calls: calls, ...pickReasoning(message) }), ...answers];
  }
  // Results are there already, with the calls that they answer.
  return content && lonelyRoles.includes(message.role) ? [pickKnownFields(message, { content })] : [];
}

/** The tool messages that follow at once, by the call that they answer. */
function findResults(messages: readonly ChatCompletionMessageParam[], index: number): Map<string, ChatCompletionMessageParam> {
  const results = new Map<string, ChatCompletionMessageParam>();
  for (let message = messages[++index]; message?.role === "tool"; message = messages[++index]) {
    if (!results.has(message.tool_call_id)) results.set(message.tool_call_id, message);
  }
  return results;
}

/** Content without parts that say nothing, and without half of a surrogate pair. `null` if nothing is left. */
function repairContent(content: Content): Content {
  if (typeof content === "string") return content.trim() ? content.toWellFormed() : null;
  // A row that somebody else wrote may contain anything.
  const parts = Array.isArray(content) ? content.filter((part) => part && (part.type !== "text" || part.text?.trim())) : [];
  return parts.length > 0 ? (toWellFormed(parts) as Content) : null;
}

function toWellFormed(value: unknown): unknown {
  if (typeof value === "string") return value.toWellFormed();
  if (Array.isArray(value)) return value.map(toWellFormed);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([name, field]) => [name, toWellFormed(field)]));
}

/** A message without fields of the app's own, such as the `id` that the guide's store keeps: providers reject them. */
function pickKnownFields(message: ChatCompletionMessageParam, fields: object): ChatCompletionMessageParam {
  const { role, name } = message as { role: string; name?: unknown };
  const isName = typeof name === "string" && /^[\w-]{1,64}$/.test(name);
  return { role, ...(isName && { name }), ...fields } as ChatCompletionMessageParam;
}
