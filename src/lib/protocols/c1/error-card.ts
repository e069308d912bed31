/** A failure as an answer that C1Chat can show: it shows nothing on an error status. */
import type { ChatHandlerError } from "../../core/errors.ts";
import { textHeaders } from "./text-response.ts";

/** A 200 with a C1 card that says what happened and whether to try again. */
export function errorCard({ message, status, code }: ChatHandlerError): Response {
  const advice = status > 428 || code === "thread_busy" ? "Try again." : "Trying again will not help.";
  const text = JSON.stringify(message.includes("Try again") ? message : `**${message}** ${advice}`);
  const card = `{"component":{"component":"Card","props":{"children":[{"component":"TextContent","props":{"textMarkdown":${text}}}]}},"error":null}`;
  return new Response(`<content thesys="true">${card.replace(/&/g, "&amp;").replace(/</g, "&lt;")}</content>`, {
    headers: { ...textHeaders, "X-Chat-Handler-Error": code },
  });
}
