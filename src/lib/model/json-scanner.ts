/** Follows JSON text that arrives in pieces, at the cost of one look at each character. */

/** How far JSON text is. `open`: within a value, or no JSON at all. */
export type JsonState = "blank" | "open" | "complete";

/** Says whether the pieces so far are a whole object or list. */
export class JsonScanner {
  #depth = 0;
  #isInString = false;
  #isEscaped = false;
  #hasBegun = false;
  #isBlank = true;

  /** Adds a piece. */
  scan(text: string): void {
    this.#isBlank &&= text.trim() === "";
    for (let index = 0; index < text.length; index++) this.#step(text[index]!);
  }

  /** How far the text is. */
  get state(): JsonState {
    if (this.#isBlank) return "blank";
    return this.#hasBegun && this.#depth === 0 ? "complete" : "open";
  }

  #step(character: string): void {
    if (this.#isInString) {
      if (this.#isEscaped) this.#isEscaped = false;
      else if (character === "\\") this.#isEscaped = true;
      else if (character === '"') this.#isInString = false;
    } else if (character === '"') {
      this.#isInString = true;
    } else if (character === "{" || character === "[") {
      this.#depth++;
      this.#hasBegun = true;
    } else if (character === "}" || character === "]") {
      this.#depth--;
    }
  }
}

/** Whether text is the beginning of a JSON object. */
export function startsObject(text: string): boolean {
  return /^\s*\{/.test(text);
}

/** Whether text is whole and legal JSON. */
export function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

/** Whether a whole JSON text says what another one says, or more of it: its strings go on, and it may have further fields. */
export function extendsJson(next: string, before: string): boolean {
  try {
    return extendsValue(JSON.parse(next), JSON.parse(before));
  } catch {
    return false;
  }
}

function extendsValue(next: unknown, before: unknown): boolean {
  if (typeof before === "object" && before !== null) {
    const fields = Object(next) as Record<string, unknown>;
    return Object.entries(before).every(([name, value]) => extendsValue(fields[name], value));
  }
  return String(next).startsWith(String(before)) && typeof next === typeof before;
}
