/** Counts text, wherever it is in a value. */
import type { StoredMessage } from "./store.ts";

/** Returns the characters (UTF-16 code units) of all strings in a JSON value. The names of fields do not count. */
export function countCharacters(value: unknown): number {
  if (typeof value === "string") return value.length;
  if (typeof value !== "object" || value === null) return 0;
  let characters = 0;
  for (const field of Object.values(value)) characters += countCharacters(field);
  return characters;
}

/** Returns the newest messages that have at most so many characters together. */
export function takeNewest(messages: readonly StoredMessage[], maxCharacters: number): StoredMessage[] {
  let left = maxCharacters;
  const oldest = messages.findLastIndex(({ message }) => (left -= countCharacters(message)) < 0);
  return messages.slice(oldest + 1);
}
