/** Cursors: positions in the body of one attempt at an answer. */
import { createInvalidRequest } from "../core/errors.ts";

/** A position in a response's body. */
export interface Cursor {
  /** Whose body it is: another attempt has another text. */
  attempt: string;
  /** Bytes of the body before it. */
  offset: number;
}

/** Returns a cursor as the client sees it: `<attempt>_<bytes, 16 digits>`. Cursors of one attempt sort as text. */
export function formatCursor({ attempt, offset }: Cursor): string {
  return `${attempt}_${String(offset).padStart(16, "0")}`;
}

/** Returns the cursor of a request, `undefined` if it has none. Throws a 400 for anything else. */
export function parseCursor(value: string | null): Cursor | undefined {
  if (value === null) return undefined;
  const [, attempt, digits] = /^([\w-]{1,64})_(\d{1,16})$/.exec(value) ?? [];
  if (attempt === undefined) throw createInvalidRequest("offset", "must be a cursor of this answer");
  return { attempt, offset: Number(digits) };
}
