/** What a turn emits. Protocols translate these events into the wire format of a client. */
import type { CompletionUsage } from "openai/resources/completions";
import type { ChatHandlerError } from "./errors.ts";
import type { MessageStatus } from "./store.ts";

/** A piece of the answer's text, of the model's reasoning, or of a tool call's arguments. The log merges adjacent pieces. */
export type TextEvent =
  | { readonly type: "text"; readonly text: string }
  | { readonly type: "reasoning"; readonly text: string }
  | { readonly type: "tool-arguments"; readonly id: string; readonly text: string };

/** The end of a turn. Always the last event of a log. */
export interface EndEvent {
  readonly type: "end";
  /** `complete` only after the whole answer is stored. */
  readonly status: MessageStatus;
  /** What ended the turn early. Absent for a complete one. */
  readonly error?: ChatHandlerError | undefined;
}

/** One event of a turn. */
export type TurnEvent =
  /** Of a replay, with the attempt that made the answer. */
  | { readonly type: "step-start"; readonly attempt?: string }
  | TextEvent
  /** The model called a tool. Its arguments follow as `tool-arguments`, and as a parsed value in `tool-input`. */
  | { readonly type: "tool-call"; readonly id: string; readonly name: string }
  | { readonly type: "tool-input"; readonly id: string; readonly input: unknown }
  | { readonly type: "tool-result"; readonly id: string; readonly content: string }
  | { readonly type: "step-end"; readonly finishReason?: string | undefined; readonly usage?: CompletionUsage | undefined }
  | EndEvent;

/** How much of a log an event occupies: the characters of its text, and one for any other event. */
export function sizeOf(event: TurnEvent): number {
  if ("text" in event) return event.text.length;
  return event.type === "tool-result" ? event.content.length + 1 : 1;
}

/** Whether one event goes on with the text of another: together they are one piece. */
export function continuesText(event: TextEvent, next: TextEvent): boolean {
  return event.type === next.type && (event.type !== "tool-arguments" || event.id === (next as typeof event).id);
}
