/** Stored messages as a person sees them: prompts and answers, without tool calls and results. */
import type { PromptContent } from "../core/prompt.ts";
import type { StoredMessage } from "../core/store.ts";
import { textOf } from "./message-text.ts";
import { groupByTurn } from "./turn-order.ts";

/** An answer under its response id. */
interface DisplayedAnswer {
  id: string;
  role: "assistant";
  content: string;
  /** How a partial answer ended. A complete answer has no status. */
  status?: "stopped" | "failed";
}

/** A prompt or an answer. */
export type DisplayedMessage = { id: string; role: "user"; content: PromptContent } | DisplayedAnswer;

/**
 * Prompts and answers in turn order. An answer is one message, as it was streamed: the text before a tool call, followed by the text after it,
 * under the response id. Messages without text are left out.
 */
export function toDisplayedMessages(stored: readonly StoredMessage[]): DisplayedMessage[] {
  const displayed: DisplayedMessage[] = [];
  /** The answer that continues after its tool results, and its turn. */
  let open: { answer: DisplayedAnswer; turn: string } | undefined;
  for (const { id, promptId, message, status } of groupByTurn(stored)) {
    if (message.role === "user") {
      displayed.push({ id, role: "user", content: message.content });
      open = undefined;
    } else if (message.role === "assistant") {
      if (open?.turn !== promptId) {
        open = { answer: { id, role: "assistant", content: "" }, turn: promptId };
        displayed.push(open.answer);
      }
      const { answer } = open;
      answer.id = id;
      answer.content += textOf(message);
      if (status !== "complete") answer.status = status;
      if (!message.tool_calls?.length) open = undefined;
    }
  }
  return displayed.filter(({ content }) => (typeof content === "string" ? content.trim() !== "" : content?.length > 0));
}

/** Drops a partial turn at the start, unless the messages are all that the thread has. */
export function startAtWholeTurn(stored: readonly StoredMessage[], maxMessages: number): readonly StoredMessage[] {
  if (stored.length < maxMessages) return stored;
  const start = stored.findIndex(({ message }) => message.role === "user");
  return stored.slice(Math.max(0, start));
}
