/** Counts text, wherever it is in a value. */

/** Returns the characters (UTF-16 code units) of all strings in a JSON value. The names of fields do not count. */
export function countCharacters(value: unknown): number {
  if (typeof value === "string") return value.length;
  if (typeof value !== "object" || value === null) return 0;
  let characters = 0;
  for (const field of Object.values(value)) characters += countCharacters(field);
  return characters;
}
