/** What the store already has of a turn. The response id is the idempotency key, and an id names one thing for ever. */
import { countCharacters, takeNewest } from "../core/count-characters.ts";
import { createIdConflict } from "../core/errors.ts";
import { isSamePrompt } from "../core/prompt.ts";
import type { ListMessagesOptions, StoredMessage } from "../core/store.ts";
import { groupByTurn } from "../history/turn-order.ts";
import type { Turn } from "./turn.ts";

/** What was found of a turn. */
export interface ExistingTurn {
  /** Nothing; the prompt; the prompt and a partial answer; or the whole answer. */
  state: "absent" | "unanswered" | "partial" | "complete";
  /** The messages that answer the prompt, in order. */
  answer: StoredMessage[];
  /** Whether the prompt is among the messages that were read. */
  hasPrompt: boolean;
  /** The messages before the prompt, the newest within `history.maxCharacters`. All messages are before a prompt that is absent. */
  before: StoredMessage[];
  /** Whether the prompt begins the thread, as far as it was read. */
  isFirst: boolean;
  /** How many messages were read. */
  count: number;
}

/**
 * Reads the thread and looks for the turn.
 *
 * @param options - Limits the messages that are read. A complete answer whose prompt is further back is read again without the limit, because
 * its first steps may be missing, too.
 * @throws ChatHandlerError `id_conflict` if one of the turn's ids was used for something else.
 */
export async function loadExistingTurn(turn: Turn, options?: ListMessagesOptions): Promise<ExistingTurn> {
  const messages = await turn.settings.store.listMessages(turn.thread, options);
  const existing = findExistingTurn(messages, turn.prompt, turn.responseId);
  if (options && existing.state === "complete" && !existing.hasPrompt) return loadExistingTurn(turn);
  const { maxCharacters } = turn.settings.history;
  return { ...existing, before: takeNewest(existing.before, maxCharacters - countCharacters(turn.prompt.message)) };
}

/** Looks for a turn among the messages of its thread. */
function findExistingTurn(messages: readonly StoredMessage[], prompt: StoredMessage, responseId: string): ExistingTurn {
  const stored = groupByTurn(messages);
  const response = stored.find(({ id }) => id === responseId);
  if (response && (response.promptId !== prompt.id || response.message.role !== "assistant")) throw createIdConflict("responseId");
  const promptIndex = stored.findIndex(({ id }) => id === prompt.id);
  const storedPrompt = stored[promptIndex];
  if (storedPrompt && !isSamePrompt(storedPrompt.message, prompt.message)) throw createIdConflict("prompt.id");

  const answer = stored.filter(({ id, promptId }) => promptId === prompt.id && id !== prompt.id);
  const isComplete = answer.some(({ status }) => status === "complete");
  // Answered under another response id.
  if (isComplete && response?.status !== "complete") throw createIdConflict("prompt.id");
  return {
    state: isComplete ? "complete" : answer.length > 0 ? "partial" : storedPrompt ? "unanswered" : "absent",
    answer,
    hasPrompt: storedPrompt !== undefined,
    before: storedPrompt ? stored.slice(0, promptIndex) : stored,
    isFirst: storedPrompt ? promptIndex === 0 : stored.length === 0,
    count: stored.length,
  };
}
