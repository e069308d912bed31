/**
 * Prompts that the provider refused as a request, for example because of an image that it cannot read. They stay in the store, for people
 * to see, but later requests leave them out: with them the provider would refuse those, too, and the thread would never recover.
 *
 * The store records it in the prompt's finish reason, which prompts do not have otherwise. Once a retry has answered the prompt, the mark
 * counts no more.
 */
import type { ChatCompletionMessageParam } from "openai/resources/chat/completions";
import { omitReasoning } from "../core/reasoning.ts";
import type { StoredMessage } from "../core/store.ts";

/** The finish reason of a prompt that the provider refused. */
export const refusedFinishReason = "request_refused";

/** Leaves out the turns that the provider refused, except the one that is answered now: the last one. */
export function omitRefusedTurns(stored: readonly StoredMessage[]): readonly StoredMessage[] {
  const refused = new Set<string>();
  for (const { id, promptId, finishReason } of stored) if (id === promptId && finishReason === refusedFinishReason) refused.add(id);
  if (refused.size === 0) return stored;
  for (const { id, promptId, status } of stored) if (id !== promptId && status === "complete") refused.delete(promptId);
  refused.delete(stored.at(-1)?.promptId ?? "");
  return stored.filter(({ promptId }) => !refused.has(promptId));
}

/**
 * Returns a refused request's messages without what may be the cause and is not the prompt itself: earlier prompts without an answer, which
 * may have been refused on another instance, and reasoning of earlier turns, which only the provider that sent it accepts. `undefined` if
 * there is nothing to leave out.
 */
export function omitSuspects(messages: readonly ChatCompletionMessageParam[]): ChatCompletionMessageParam[] | undefined {
  const current = messages.findLastIndex(({ role }) => role === "user");
  let isChanged = false;
  const lean = messages.flatMap((message, index): ChatCompletionMessageParam[] => {
    if (index >= current) return [message];
    const isUnanswered = message.role === "user" && messages[index + 1]?.role === "user";
    const rest = message.role === "assistant" ? omitReasoning(message) : message;
    isChanged ||= isUnanswered || Object.keys(rest).length < Object.keys(message).length;
    return isUnanswered ? [] : [rest];
  });
  return isChanged ? lean : undefined;
}
