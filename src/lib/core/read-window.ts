/** How far back a thread is read. Every read is bounded in messages and in characters. */
import { countCharacters } from "./count-characters.ts";
import type { ListMessagesOptions, StoredMessage } from "./store.ts";

/** The options of a read that is bounded in both. */
interface ReadWindow extends ListMessagesOptions {
  last: number;
  maxCharacters: number;
}

/**
 * Returns the options that read the newest messages, with at least so many characters of text. A store counts JSON, perhaps in bytes: three
 * for a character (more only for control characters and half surrogate pairs), and up to 2,000 for the rest of a message.
 */
export function newestWithin(last: number, characters: number): ReadWindow {
  return { last, maxCharacters: 3 * characters + 2_000 * last };
}

/** Returns the options of a read that looks for one turn: much further back than the model's window, and still bounded. */
export function turnSearchWindow({ maxMessages, maxCharacters }: { maxMessages: number; maxCharacters: number }): ReadWindow {
  return newestWithin(Math.max(2_000, 2 * maxMessages), Math.max(2_000_000, 2 * maxCharacters));
}

/** Whether a read with these options may have left older messages out. */
export function mayBeCut(messages: readonly StoredMessage[], { last, maxCharacters }: ReadWindow): boolean {
  return messages.length >= last || countBytes(messages) >= maxCharacters;
}

/** Returns the size of messages as JSON, in bytes. No store counts more. */
export function countBytes(messages: readonly StoredMessage[]): number {
  return new TextEncoder().encode(JSON.stringify(messages)).length;
}

/** Returns the newest messages that have at most so many characters together. */
export function takeNewest(messages: readonly StoredMessage[], maxCharacters: number): StoredMessage[] {
  let left = maxCharacters;
  const oldest = messages.findLastIndex(({ message }) => (left -= countCharacters(message)) < 0);
  return messages.slice(oldest + 1);
}
