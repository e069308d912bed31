/** The wire format of C1Chat: a JSON body in, plain text out. */
import { createInvalidRequest } from "../../core/errors.ts";
import type { TurnEvent } from "../../core/events.ts";
import type { Protocol } from "../../core/protocol.ts";
import { parseId, parsePrompt } from "../../core/validate.ts";
import { createErrorCard } from "./error-card.ts";
import { headers } from "./headers.ts";
import { streamText } from "./stream-text.ts";

/**
 * Milliseconds between two writes. C1Chat draws a chunk only if 70 ms have passed since the chunk that it drew last, and draws nothing later:
 * text that arrives sooner stays invisible until the next chunk.
 */
const flushInterval = 80;

function toText(event: TurnEvent): string {
  return event.type === "text" ? event.text : "";
}

/** C1Chat's protocol. */
export const c1: Protocol = {
  parse(body, limits) {
    const prompt = parsePrompt(body["prompt"], "prompt", limits);
    const threadId = parseId(body["threadId"], "threadId", limits);
    const responseId = parseId(body["responseId"], "responseId", limits);
    if (prompt.id === responseId) throw createInvalidRequest("responseId", "must differ from prompt.id");
    return { threadId, responseId, prompt };
  },
  headers,
  flushInterval,
  createWriter: () => toText,
  stream: streamText,
  failure: "breaks the stream",
  errorResponse: createErrorCard,
};
