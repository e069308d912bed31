/** Form state: what a person has filled in. C1 keeps it in the answer that holds the form, as `<context>` with JSON in it. */
import { ChatHandlerError, invalid } from "../core/errors.ts";
import { unescapeEntities } from "../core/prompt.ts";
import type { StoredMessage } from "../core/store.ts";
import { toShownMessages } from "../history/displayed-messages.ts";

/** An answer, and the form state that came with it. */
export interface FilledAnswer {
  /** The answer without form state. */
  answer: string;
  /** What stands in `<context>`, as it was written. */
  context: string | undefined;
}

const [open, close] = ["<context>", "</context>"] as const;

/** Takes an answer apart: C1 puts form state at its end. */
export function splitAnswer(content: string): FilledAnswer {
  const whole = content.trimEnd();
  const start = whole.lastIndexOf(open);
  if (start === -1 || !whole.endsWith(close)) return { answer: content, context: undefined };
  return { answer: whole.slice(0, start), context: whole.slice(start + open.length, -close.length) };
}

/** Refuses form state that the browser could not read when it is loaded again. */
export function checkContext(context: string | undefined, param: string, most: number): void {
  if (context === undefined) return;
  if (context.length > most) throw invalid(param, `must have at most ${most} characters of form state`);
  if (!isState(context)) throw invalid(param, "must hold form state as JSON: an object, or an array of objects");
}

function isState(context: string): boolean {
  const state = parsed(unescapeEntities(context));
  return [state].flat().every((item) => typeof item === "object" && item !== null);
}

/** A stored answer without its form state. An assistant may speak of `<context>`, too. */
function saidIn(content: string): string {
  const { answer, context } = splitAnswer(content);
  return context !== undefined && isState(context) ? answer : content;
}

function parsed(json: string): unknown {
  try {
    return JSON.parse(json);
  } catch {
    return undefined;
  }
}

/**
 * The content of a stored answer with new form state in it; `undefined` where there is no such answer. A browser may fill in a form
 * and nothing else: what the assistant said goes back to the model in the assistant's name. And only in a whole answer, for one that
 * was cut short is made anew when it is asked for again, and what the browser has of it need not be what is stored.
 */
export function fillAnswer(stored: readonly StoredMessage[], id: string, { answer, context }: FilledAnswer): string | undefined {
  const own = stored.find((message) => message.id === id);
  const shown = toShownMessages(stored).find((message) => message.id === id);
  if (shown?.role !== "assistant" || typeof own?.message.content !== "string") return undefined;
  // C1 may put a line break in front of the state, one more at each save.
  if (own.status !== "complete" || saidIn(shown.content).trimEnd() !== answer.trimEnd()) {
    throw new ChatHandlerError(
      "id_conflict",
      "message.content must be the whole answer as it is stored, with nothing but form state added.",
      {
        param: "message.content",
      },
    );
  }
  return saidIn(own.message.content) + (context === undefined ? "" : open + context + close);
}
