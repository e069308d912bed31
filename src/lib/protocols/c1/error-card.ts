/** Failures as C1 cards, because C1Chat shows nothing on an error status. */
import type { ChatHandlerError } from "../../core/errors.ts";
import { headers } from "./headers.ts";

/** Creates a response with status 200 and a card with the message and whether a retry helps. */
export function createErrorCard({ message, status, code }: ChatHandlerError): Response {
  const isTemporary = status > 428 || code === "thread_busy" || code === "turn_stopped";
  const advice = isTemporary ? "Try again." : "Trying again will not help.";
  const textMarkdown = message.includes("Try again") ? message : `**${message}** ${advice}`;
  const text = { component: "TextContent", props: { textMarkdown } };
  const card = JSON.stringify({ component: { component: "Card", props: { children: [text] } }, error: null });
  const escaped = card.replaceAll("&", "&amp;").replaceAll("<", "&lt;");
  return new Response(`<content thesys="true">${escaped}</content>`, { headers: { ...headers, "X-Chat-Handler-Error": code } });
}
