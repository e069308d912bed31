/** What the store already has of a turn. The response id is the idempotency key, and an id names one thing for ever. */
import { countCharacters } from "../core/count-characters.ts";
import { ChatHandlerError, createIdConflict, createThreadDeletedError } from "../core/errors.ts";
import { isSamePrompt } from "../core/prompt.ts";
import { countBytes, mayBeCut, newestWithin, takeNewest, turnSearchWindow } from "../core/read-window.ts";
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
}

/**
 * Looks for the turn much further back than the model's window.
 *
 * @throws ChatHandlerError `id_conflict` if one of the turn's ids was used for something else.
 */
export async function loadExistingTurn(turn: Turn): Promise<ExistingTurn> {
  return (await findTurn(turn, turnSearchWindow(turn.settings.history))).found;
}

/**
 * Does what {@link loadExistingTurn} does, for a turn of which something was stored a moment ago.
 *
 * @throws ChatHandlerError `id_conflict`, also if the prompt is so far back that the turn cannot be read whole; `thread_deleted`
 */
export async function loadDistantTurn(turn: Turn): Promise<ExistingTurn> {
  const window = turnSearchWindow(turn.settings.history);
  const { found, messages } = await findTurn(turn, window);
  if (found.hasPrompt) return found;
  if (mayBeCut(messages, window)) {
    const problem = "prompt.id is too far back in its thread. Send the prompt with new ids.";
    throw new ChatHandlerError("id_conflict", problem, { param: "prompt.id" });
  }
  // An app may have deleted the prompt alone.
  if (found.state === "complete") return found;
  throw createThreadDeletedError();
}

/**
 * Does what {@link loadExistingTurn} does, but reads only the newest messages: those that the model may see, and those of the turn.
 *
 * @throws ChatHandlerError `id_conflict`, and `thread_deleted` if the thread was known and has no messages any more
 */
export async function loadRecentTurn(turn: Turn): Promise<ExistingTurn> {
  const { settings, progress } = turn;
  const { maxMessages, maxCharacters } = settings.history;
  const window = newestWithin(maxMessages, maxCharacters);
  const { found, messages, isCut } = await findTurn(turn, window);
  if (messages.length > 0) progress.wasThreadKnown = true;
  else if (progress.wasThreadKnown) throw createThreadDeletedError();
  if (found.state === "complete") {
    // Without its prompt, the first steps of the answer may be missing, too.
    return found.hasPrompt ? found : loadDistantTurn(turn);
  }
  if (!found.hasPrompt || isCut || countBytes(messages) < window.maxCharacters) return found;
  // What was stored since the prompt has filled the window. Read as much again of what is before the prompt.
  const sincePrompt = messages.slice(messages.findIndex(({ id }) => id === turn.prompt.id));
  const wider = await findTurn(turn, { ...window, maxCharacters: window.maxCharacters + countBytes(sincePrompt) });
  return wider.found.hasPrompt ? wider.found : loadDistantTurn(turn);
}

/** Returns the turn as the messages show it, the messages, and whether `history.maxCharacters` has cut those before the prompt. */
async function findTurn(
  turn: Turn,
  options: ListMessagesOptions,
): Promise<{ found: ExistingTurn; messages: StoredMessage[]; isCut: boolean }> {
  const { store, history } = turn.settings;
  const messages = await store.listMessages(turn.thread, options);
  const existing = findExistingTurn(messages, turn.prompt, turn.responseId);
  const before = takeNewest(existing.before, history.maxCharacters - countCharacters(turn.prompt.message));
  return { found: { ...existing, before }, messages, isCut: before.length < existing.before.length };
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
  };
}
