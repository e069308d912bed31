/** Events as text, for the logs of coordinators: one line of ASCII for each, so that a position is the same in characters and in bytes. */
import { ChatHandlerError, type ChatHandlerErrorCode } from "../../core/errors.ts";
import type { TurnEvent } from "../../core/events.ts";

/** Returns events as lines. Text, which is most of a log, is only its JSON string. */
export function encodeEvents(events: readonly TurnEvent[]): string {
  return events.map((event) => `${toAscii(JSON.stringify(toJson(event)))}\n`).join("");
}

/** Reads lines that arrive in pieces. */
export class EventDecoder {
  #rest = "";

  /** Returns the events that are whole by now. */
  push(data: string): TurnEvent[] {
    const lines = (this.#rest + data).split("\n");
    this.#rest = lines.pop() ?? "";
    return lines.map((line) => fromJson(JSON.parse(line)));
  }
}

/** Only what a reader needs of an error: its cause stays on the instance where it happened. */
interface ErrorJson {
  code: ChatHandlerErrorCode;
  message: string;
  param?: string | undefined;
  retryAfter?: string | undefined;
}

function toJson(event: TurnEvent): unknown {
  if (event.type === "text") return event.text;
  if (event.type !== "end" || !event.error) return event;
  const { code, message, param, retryAfter } = event.error;
  return { ...event, error: { code, message, param, retryAfter } satisfies ErrorJson };
}

function fromJson(json: unknown): TurnEvent {
  if (typeof json === "string") return { type: "text", text: json };
  const event = json as TurnEvent;
  if (event.type !== "end" || !event.error) return event;
  const { code, message, param, retryAfter } = event.error as ErrorJson;
  return { ...event, error: new ChatHandlerError(code, message, { param, retryAfter }) };
}

function toAscii(json: string): string {
  return json.replaceAll(/[\u007f-\uffff]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`);
}
