/** Messages in the form that C1Chat keeps on the screen. */
import { type JsonValue, parseC1Markup } from "./prompt-markup.ts";

/** A prompt on the screen. */
export interface ShownPrompt {
  /** The id of the prompt. */
  id: string;
  /** A person wrote it. */
  role: "user";
  /** Always the same. */
  type: "prompt";
  /** The text, without markup. */
  message: string;
  /** The state that came with it, for example of a form. */
  context?: JsonValue[];
}

/** The only part of an answer. */
export interface ShownTemplate {
  /** Always the same. */
  type: "template";
  /** The name of C1's template. */
  name: string;
  /** Its content, in C1's markup. */
  templateProps: Record<"content", string>;
}

/** An answer on the screen. */
export interface ShownAnswer {
  /** The id of the answer on the screen. */
  id: string;
  /** The model wrote it. */
  role: "assistant";
  /** One template, which has C1's markup. */
  message: ShownTemplate[];
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

/** A message that C1Chat passes to `processMessage`. */
export interface C1SentMessage {
  /** The id of the prompt, or of the answer on the screen. */
  id: string;
  /** `user` or `assistant`. */
  role: string;
  /** C1's markup. */
  content?: string;
}

/** What C1Chat passes to `processMessage`. */
export interface C1Prompt {
  /** The id of the thread. */
  threadId: string;
  /** The messages on the screen. The last one is the prompt. */
  messages: readonly C1SentMessage[];
  /** The id that the answer has on the screen. */
  responseId: string;
  /** Aborts if the person presses Stop or selects another thread. */
  abortController: AbortController;
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
