/** Messages in the form that C1Chat keeps on the screen. */
import { parseC1Markup } from "./prompt-markup.ts";

/** Any JSON value. */
export type JsonValue = string | number | boolean | null | JsonValue[] | { [name: string]: JsonValue };

/** A prompt on the screen. */
export interface ShownPrompt {
  id: string;
  role: "user";
  type: "prompt";
  message: string;
  context?: JsonValue[];
}

/** An answer on the screen. */
export interface ShownAnswer {
  id: string;
  role: "assistant";
  message: { type: "template"; name: string; templateProps: { content: string } }[];
}

/** What is used of C1Chat's thread manager, which `useThreadManager` returns. */
export interface C1ThreadManager {
  /** Appends a prompt and requests its answer. Does nothing while another answer is requested. */
  processMessage(message: ShownPrompt): Promise<void>;
  /** Shows further messages at the end. */
  appendMessages(...messages: (ShownPrompt | ShownAnswer)[]): void;
  /** Shows a message in place of the one with its id. */
  updateMessage(message: ShownAnswer): void;
  /** Shows a message no longer. */
  deleteMessage(messageId: string): void;
}

/** A prompt from its markup. */
export function toShownPrompt(id: string, markup: string): ShownPrompt {
  const { text, context } = parseC1Markup(markup);
  return { id, role: "user", type: "prompt", message: text, ...(context && { context }) };
}

/** An answer from its markup. */
export function toShownAnswer(id: string, content: string): ShownAnswer {
  return { id, role: "assistant", message: [{ type: "template", name: "c1", templateProps: { content } }] };
}
