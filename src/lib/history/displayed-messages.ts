/** A thread as people see it: prompts and answers, without what a turn needed in between. */
import type { ChatCompletionMessageParam } from "openai/resources/chat/completions";
import { inTurnOrder } from "./model-messages.ts";
import type { PromptContent } from "../core/prompt.ts";
import type { StoredMessage } from "../core/store.ts";

/** A prompt as it came. */
interface ShownPrompt {
  id: string;
  role: "user";
  content: PromptContent;
}

/** An answer under its response id. */
interface ShownAnswer {
  id: string;
  role: "assistant";
  content: string;
}

/** A message as it is shown. */
export type ShownMessage = ShownPrompt | ShownAnswer;

/**
 * Prompts and answers with their ids, in turn order. An answer is one message, as it was streamed: what was said before tools were
 * called stands in front of what was said after, under the response id. What holds no text is left out.
 */
export function toShownMessages(stored: readonly StoredMessage[]): ShownMessage[] {
  const shown: ShownMessage[] = [];
  /** The answer that goes on behind the results of its tools, and its turn. */
  let open: { answer: ShownAnswer; turn: string } | undefined;
  for (const { id, promptId, message } of inTurnOrder(stored)) {
    if (message.role === "user") {
      shown.push({ id, role: "user", content: message.content });
    } else if (message.role === "assistant") {
      if (open?.turn !== promptId) {
        open = { answer: { id, role: "assistant", content: "" }, turn: promptId };
        shown.push(open.answer);
      }
      const { answer } = open;
      answer.id = id;
      answer.content += textOf(message);
      if (!message.tool_calls?.length) open = undefined;
    }
  }
  return shown.filter(({ content }) => (typeof content === "string" ? content.trim() : content?.length));
}

/** The newest of a thread's messages, begun at a whole turn where they are not all of them. */
export function fromWholeTurn(stored: readonly StoredMessage[], last: number): readonly StoredMessage[] {
  const start = stored.length < last ? 0 : stored.findIndex(({ message }) => message.role === "user");
  return stored.slice(Math.max(0, start));
}

function textOf({ content }: ChatCompletionMessageParam): string {
  if (!Array.isArray(content)) return content ?? "";
  // What somebody else put into the database need not be a part.
  const parts = content.filter(Boolean);
  return parts.map((part) => (part.type === "text" ? part.text : part.type === "refusal" ? part.refusal : "")).join("");
}
