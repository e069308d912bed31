/** A failure as an answer that C1Chat can show: it shows nothing on an error status. */
import type { ChatHandlerError } from "./errors.ts";
import { textHeaders } from "./text-response.ts";

const escapes: Record<string, string> = { "&": "&amp;", "<": "&lt;", ">": "&gt;" };

/** A 200 with a C1 card that says what happened and whether to try again. */
export function errorCard({ message, status, code }: ChatHandlerError): Response {
  const mayPass = status >= 500 || status === 429 || code === "thread_busy";
  const textMarkdown = `**${message}** ${mayPass ? "You can try again." : "Trying again will not help."}`;
  const children = [{ component: "TextContent", props: { textMarkdown } }];
  const json = JSON.stringify({ component: { component: "Card", props: { children } }, error: null });
  return new Response(`<content thesys="true">${json.replace(/[&<>]/g, (character) => escapes[character] ?? "")}</content>`, {
    headers: { ...textHeaders, "X-Chat-Handler-Error": code },
  });
}
