/** What a thread already holds of a turn: the response id is the key of idempotency, and an id names one thing for ever. */
import { ChatHandlerError } from "../core/errors.ts";
import { inTurnOrder } from "../history/model-messages.ts";
import { asksSame } from "../core/prompt.ts";
import type { StoredMessage } from "../core/store.ts";

/** What was found. */
export interface Earlier {
  /** The whole answer's text, if this very answer is complete. */
  answer: string | undefined;
  /** Whether the prompt is stored. */
  hasPrompt: boolean;
  /** How many messages there are, of those that were looked at. */
  count: number;
  /** What stands before the prompt; all, where the prompt is not stored. */
  before: StoredMessage[];
}

/** Looks for a turn among its thread's messages. Throws `id_conflict` where one of its ids was used for something else. */
export function findEarlier(messages: readonly StoredMessage[], asked: StoredMessage, responseId: string): Earlier {
  const stored = inTurnOrder(messages);
  const response = stored.find(({ id }) => id === responseId);
  if (response && (response.promptId !== asked.id || response.message.role !== "assistant")) throw conflict("responseId");
  const place = stored.findIndex(({ id }) => id === asked.id);
  const stands = stored[place]?.message;
  if (stands && !asksSame(stands, asked.message)) throw conflict("prompt.id");
  const attempt = stored.filter(({ id, promptId }) => promptId === asked.id && id !== asked.id);
  const isWhole = attempt.some(({ status }) => status === "complete");
  if (isWhole && response?.status !== "complete") throw conflict("prompt.id");
  const texts = attempt.map(({ message: { role, content } }) => (role === "assistant" && typeof content === "string" ? content : ""));
  return {
    answer: isWhole ? texts.join("") : undefined,
    hasPrompt: stands !== undefined,
    count: stored.length,
    before: stands ? stored.slice(0, place) : stored,
  };
}

/** The error of an id that was used before for something else, or whose message or thread was deleted meanwhile. */
export function conflict(param: string): ChatHandlerError {
  return new ChatHandlerError("id_conflict", `${param} was used before for something else, or deleted; make a new one.`, {
    param,
  });
}
