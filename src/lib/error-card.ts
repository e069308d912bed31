/** A failure as an answer that C1Chat can show: it shows nothing on an error status. */
import type { ChatHandlerError } from "./errors.ts";

const escapes: Record<string, string> = { "&": "&amp;", "<": "&lt;", ">": "&gt;" };

/** A 200 with a C1 card that says what happened and whether to try again. */
export function errorCard(error: ChatHandlerError): Response {
  const advice =
    error.status >= 500 || error.status === 429 || error.status === 409
      ? "Your message is not lost. You can try again."
      : "Trying again will not help unless something is changed.";
  const text = (textMarkdown: string) => ({ component: "TextContent", props: { textMarkdown } });
  const card = { component: { component: "Card", props: { children: [text(`**${error.message}**`), text(advice)] } }, error: null };
  const json = JSON.stringify(card).replace(/[&<>]/g, (character) => escapes[character] ?? character);
  return new Response(`<content thesys="true">${json}</content>`, {
    headers: {
      "Content-Type": "text/event-stream; charset=utf-8",
      "Cache-Control": "no-store",
      "X-Content-Type-Options": "nosniff",
      "X-Chat-Handler-Error": error.code,
    },
  });
}
