/**
 * What a thread has become by now, as messages a provider accepts. Repairs happen here, on the way to the model, and
 * never in the store.
 */
import type {
  ChatCompletionAssistantMessageParam,
  ChatCompletionMessageParam,
  ChatCompletionMessageToolCall,
  ChatCompletionToolMessageParam,
} from "openai/resources/chat/completions";
import type { StoredMessage } from "./store.ts";

/**
 * Messages with each turn in one piece: what answers a prompt stands right behind it, even where it was stored later
 * (an answer made anew after the thread had gone on). A turn whose prompt is not among them stays where it is.
 */
export function inTurnOrder(messages: readonly StoredMessage[]): StoredMessage[] {
  const turns = new Map<string, StoredMessage[]>();
  const seen = new Set<string>();
  for (const message of messages) {
    if (seen.has(message.id)) continue;
    seen.add(message.id);
    const turn = turns.get(message.promptId);
    if (turn) turn.push(message);
    else turns.set(message.promptId, [message]);
  }
  return [...turns.values()].flat();
}

/**
 * The last `last` stored messages in the form a provider accepts: only fields it knows; no message without content; every
 * tool call with its result and every result with its call; and no half turn at the start.
 */
export function toModelMessages(stored: readonly StoredMessage[], last: number): ChatCompletionMessageParam[] {
  const window = inTurnOrder(stored).slice(-last);
  // A window that begins within a turn begins with an answer to nothing: it starts at the next prompt instead.
  const start = window.findIndex(({ message }) => message?.role === "user");
  const messages = window.slice(Math.max(start, 0)).map(({ message }) => message);
  const repaired: ChatCompletionMessageParam[] = [];
  for (let index = 0; index < messages.length; index++) {
    const message = messages[index];
    // Results are taken up with the call they answer; one met here has none.
    if (!isMessage(message) || message.role === "tool" || message.role === "function") continue;
    if (message.role === "assistant") repaired.push(...assistantWithResults(message, messages.slice(index + 1)));
    else if (hasContent(message.content)) repaired.push(known(message));
  }
  return repaired;
}

function assistantWithResults(
  message: ChatCompletionAssistantMessageParam,
  following: readonly ChatCompletionMessageParam[],
): ChatCompletionMessageParam[] {
  const results = new Map<string, ChatCompletionToolMessageParam>();
  for (const next of following) {
    if (next?.role !== "tool") break;
    if (!results.has(next.tool_call_id)) results.set(next.tool_call_id, next);
  }
  const calls = new Map<string, ChatCompletionMessageToolCall>();
  for (const call of Array.isArray(message.tool_calls) ? message.tool_calls : []) {
    if (results.has(call.id)) calls.set(call.id, call);
  }
  if (calls.size === 0 && !hasContent(message.content)) return [];
  const { role, content = null, name } = message;
  return [
    {
      role,
      content: hasContent(content) ? content : null,
      ...(name !== undefined && { name }),
      ...(calls.size > 0 && { tool_calls: [...calls.values()] }),
    },
    ...[...calls.keys()].flatMap((id) => {
      const result = results.get(id);
      return result ? [{ role: result.role, tool_call_id: id, content: result.content ?? "" }] : [];
    }),
  ];
}

function isMessage(message: unknown): message is ChatCompletionMessageParam {
  return typeof message === "object" && message !== null && "role" in message;
}

function hasContent(content: ChatCompletionMessageParam["content"]): boolean {
  return Array.isArray(content) ? content.length > 0 : typeof content === "string" && content.trim() !== "";
}

/** A message without fields of the app's own, such as the `id` that the guide's store keeps: providers refuse them. */
function known<M extends Exclude<ChatCompletionMessageParam, { role: "assistant" | "tool" | "function" }>>(message: M): M {
  const { role, content, name } = message;
  return { role, content, ...(name !== undefined && { name }) } as M;
}
