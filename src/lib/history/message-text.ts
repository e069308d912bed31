/** The text of a stored message. */
import type { ChatCompletionMessageParam } from "openai/resources/chat/completions";

/** The text of a message's content: the content itself, or that of its text and refusal parts. */
export function textOf({ content }: ChatCompletionMessageParam): string {
  if (typeof content === "string") return content;
  // A row that somebody else wrote may contain anything.
  if (!Array.isArray(content)) return "";
  return content
    .map((part) => {
      if (part?.type === "text") return part.text;
      return part?.type === "refusal" ? part.refusal : "";
    })
    .join("");
}
