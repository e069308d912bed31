/** Names that code blocks may use without making them first. */
import type { ThreadStore } from "chat-handler";
import type { OpenAI } from "openai";

declare global {
  /** Some OpenAI-compatible client. */
  const client: OpenAI;
  /** Some store. */
  const store: ThreadStore;
  /** The request a route was called with. */
  const request: Request;
}
