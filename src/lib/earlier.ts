/** What a thread already holds of a turn: the response id is the key of idempotency, and an id names one thing for ever. */
import { ChatHandlerError } from "./errors.ts";
import type { Prompt } from "./prompt.ts";
import type { StoredMessage } from "./store.ts";

/** What was found. */
export interface Earlier {
  /** The whole answer's text, if this very answer is complete. */
  answer: string | undefined;
  /** Whether the prompt is stored. */
  hasPrompt: boolean;
  /** What an earlier, incomplete attempt left behind: to be replaced by the next one. */
  attempt: StoredMessage[];
  /** What stands before the prompt; all, where the prompt is not stored. */
  before: StoredMessage[];
}

/** Looks for a turn among stored messages. Throws `id_conflict` where one of its ids was used for something else. */
export function findEarlier(stored: readonly StoredMessage[], prompt: Prompt, responseId: string): Earlier {
  const response = stored.find(({ id }) => id === responseId);
  if (response && (response.promptId !== prompt.id || response.message.role !== "assistant")) {
    throw conflict("responseId", "names another message of this thread");
  }
  const place = stored.findIndex(({ id }) => id === prompt.id);
  const stands = stored[place];
  if (stands && (stands.message.role !== "user" || !sameJson(stands.message.content, prompt.content))) {
    throw conflict("prompt.id", "names another message of this thread");
  }
  const turn = stored.filter(({ id, promptId }) => promptId === prompt.id && id !== prompt.id);
  if (response?.status === "complete") {
    const text = turn.map(({ message }) => (message.role === "assistant" && typeof message.content === "string" ? message.content : ""));
    return { answer: text.join(""), hasPrompt: true, attempt: [], before: [] };
  }
  if (turn.some(isWholeAnswer)) throw conflict("prompt.id", "was answered under another response id");
  return {
    answer: undefined,
    hasPrompt: stands !== undefined,
    attempt: turn,
    before: stored.slice(0, place === -1 ? undefined : place).filter(({ promptId }) => promptId !== prompt.id),
  };
}

function isWholeAnswer({ message, status }: StoredMessage): boolean {
  return message.role === "assistant" && !message.tool_calls?.length && status === "complete";
}

function conflict(param: string, problem: string): ChatHandlerError {
  return new ChatHandlerError("id_conflict", `${param} ${problem}; make a new id for each message.`, { param });
}

/** Whether two values are the same JSON; the order of an object's keys is no difference, for some databases change it. */
export function sameJson(a: unknown, b: unknown): boolean {
  if (a === b) return true;
  if (typeof a !== "object" || typeof b !== "object" || a === null || b === null || Array.isArray(a) !== Array.isArray(b)) return false;
  const [left, right] = [definedEntries(a), new Map(definedEntries(b))];
  return left.length === right.size && left.every(([key, value]) => right.has(key) && sameJson(value, right.get(key)));
}

const definedEntries = (value: object) => Object.entries(value).filter(([, field]) => field !== undefined);
