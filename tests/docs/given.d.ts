/** Names that code blocks may use without declaring them. */
import type { ThreadStore } from "chat-handler";
import type { OpenAI } from "openai";

declare global {
  /** An OpenAI-compatible client. */
  const client: OpenAI;
  /** A store. */
  const store: ThreadStore;
  /** The request of the current route. */
  const request: Request;
}
