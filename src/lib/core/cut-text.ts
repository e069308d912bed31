/** Cuts text to a length, and says so in the text. */

/** Returns the text, or its beginning with a note of what is missing, at most `limit` characters long together with the note. */
export function cutText(text: string, limit: number): string {
  if (text.length <= limit) return text;
  const note = `\n[Cut: only the beginning of ${text.length} characters is shown.]`;
  // Half of a surrogate pair must not be left at the end.
  return text.slice(0, Math.max(0, limit - note.length)).toWellFormed() + note.slice(0, limit);
}
