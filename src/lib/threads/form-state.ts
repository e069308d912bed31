/** Form state: what a person has filled in. C1 keeps it in the answer that has the form, as `<context>` with JSON in it. */
import { ChatHandlerError, createInvalidRequest } from "../core/errors.ts";
import { unescapeEntities } from "../core/prompt.ts";
import type { StoredMessage } from "../core/store.ts";
import { toDisplayedMessages } from "../history/displayed-messages.ts";

/** An answer and its form state. */
export interface FilledAnswer {
  /** The answer without form state. */
  answer: string;
  /** The inside of `<context>`, as it was written. */
  formState: string | undefined;
}

const [openTag, closeTag] = ["<context>", "</context>"] as const;

/** Separates an answer from the form state that C1 puts at its end. */
export function splitAnswer(content: string): FilledAnswer {
  const trimmed = content.trimEnd();
  const start = trimmed.lastIndexOf(openTag);
  if (start === -1 || !trimmed.endsWith(closeTag)) return { answer: content, formState: undefined };
  return { answer: trimmed.slice(0, start), formState: trimmed.slice(start + openTag.length, -closeTag.length) };
}

/** Throws for form state that the browser could not read when the thread is loaded. */
export function checkFormState(formState: string | undefined, param: string, maxCharacters: number): void {
  if (formState === undefined) return;
  if (formState.length > maxCharacters) throw createInvalidRequest(param, `must have at most ${maxCharacters} characters of form state`);
  if (!isFormState(formState)) throw createInvalidRequest(param, "must have form state as JSON: an object, or an array of objects");
}

/**
 * The content of a stored answer with new form state in it. `undefined` if there is no such answer. A browser may only fill in a form: the
 * model receives the rest in the assistant's name. And only in a complete answer: a partial one may differ from what the browser has.
 */
export function fillStoredAnswer(stored: readonly StoredMessage[], id: string, { answer, formState }: FilledAnswer): string | undefined {
  const own = stored.find((message) => message.id === id);
  const displayed = toDisplayedMessages(stored).find((message) => message.id === id);
  if (displayed?.role !== "assistant" || typeof own?.message.content !== "string") return undefined;
  // C1 may put a line break before the state, one more at each save.
  if (own.status !== "complete" || withoutFormState(displayed.content).trimEnd() !== answer.trimEnd()) {
    throw new ChatHandlerError("form_mismatch", "message.content must be the whole stored answer with nothing but form state added.", {
      param: "message.content",
    });
  }
  return withoutFormState(own.message.content) + (formState === undefined ? "" : openTag + formState + closeTag);
}

/** A stored answer without its form state. An answer may also speak of `<context>`. */
function withoutFormState(content: string): string {
  const { answer, formState } = splitAnswer(content);
  return formState !== undefined && isFormState(formState) ? answer : content;
}

/** Whether text is form state: JSON of objects, without a tag that would end `<context>` or begin another element. */
function isFormState(text: string): boolean {
  if (/<[a-z/!?]/i.test(text)) return false;
  try {
    const state: unknown = JSON.parse(unescapeEntities(text));
    const items: unknown[] = Array.isArray(state) ? state : [state];
    return items.every((item) => typeof item === "object" && item !== null);
  } catch {
    return false;
  }
}
