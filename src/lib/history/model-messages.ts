/**
 * What a thread has become by now, as messages a provider accepts. Repairs happen here, on the way to the model, and
 * never in the store.
 */
import type { ChatCompletionMessageParam, ChatCompletionMessageToolCall } from "openai/resources/chat/completions";
import type { StoredMessage } from "../core/store.ts";
import { normalizeToolCall } from "../core/tool-call.ts";

/**
 * The last `last` messages, given in turn order, in the form a provider accepts: only fields it knows; no message without content; every
 * tool call with its result and every result with its call; and no half turn at the start.
 */
export function toModelMessages(stored: readonly StoredMessage[], last: number): ChatCompletionMessageParam[] {
  let turn: string | undefined;
  const newest = stored
    .slice(-last)
    .filter(({ id, promptId, message }) => {
      if (message.role === "user" || id === promptId) turn = promptId;
      // An answer that was made anew may be there when its prompt is further back.
      return turn === promptId;
    })
    .map(({ message }) => message);
  // What begins within a turn begins with an answer to nothing: it starts at the next prompt instead, which at the end there always is.
  const window = newest.slice(newest.findIndex(({ role }) => role === "user"));
  return window.flatMap((message, index) => {
    const content = contentOf(message);
    if (message.role === "assistant") {
      const results = resultsAfter(index, window);
      const calls: ChatCompletionMessageToolCall[] = [];
      const answers: ChatCompletionMessageParam[] = [];
      for (const call of Object.values(message.tool_calls ?? {})) {
        const result = call?.id && results.get(call.id);
        if (!result) continue;
        calls.push("custom" in call ? call : normalizeToolCall(call));
        answers.push(known(result, { content: result.content ?? "", tool_call_id: call.id }));
        results.delete(call.id); // no second call has it
      }
      if (calls.length > 0) return [known(message, { content, tool_calls: calls }), ...answers];
    }
    // Results were taken up with the call they answer; one met here has none.
    return content && /^(user|assistant|system|developer)$/.test(message.role) ? [known(message, { content })] : [];
  });
}

/** The tool messages that follow at once, by the call they answer. */
function resultsAfter(index: number, messages: readonly ChatCompletionMessageParam[]): Map<string, ChatCompletionMessageParam> {
  const results = new Map<string, ChatCompletionMessageParam>();
  for (let next = messages[++index]; next?.role === "tool"; next = messages[++index]) {
    if (!results.has(next.tool_call_id)) results.set(next.tool_call_id, next);
  }
  return results;
}

/** What a message says, without parts that say nothing; null where nothing is left. */
function contentOf({ content }: ChatCompletionMessageParam): ChatCompletionMessageParam["content"] {
  if (typeof content === "string") return content.trim() ? content : null;
  // What somebody else put into the database need be neither parts nor a list.
  const parts = Array.isArray(content) ? content.filter((part) => part && (part.type !== "text" || part.text?.trim())) : [];
  return parts.length > 0 ? (parts as typeof content) : null;
}

/** A message without fields of the app's own, such as the `id` that the guide's store keeps: providers refuse them. */
function known(message: ChatCompletionMessageParam, fields: object): ChatCompletionMessageParam {
  const { role, name } = message as { role: string; name?: string };
  return { role, ...(name && { name }), ...fields } as ChatCompletionMessageParam;
}
