/** Events as text, for the logs of coordinators: one line of ASCII for each, so that a position is the same in characters and in bytes. */
import { ChatHandlerError, type ChatHandlerErrorCode } from "../../core/errors.ts";
import { continuesText, type EndEvent, type TurnEvent } from "../../core/events.ts";
import { hasTexts } from "../../core/parse-rows.ts";

/**
 * Returns events as lines. Text, which is most of a log, is only its JSON string. Adjacent text is one line, so that the same part of a log is the same
 * text each time, however the log has merged its events in the meantime.
 */
export function encodeEvents(events: readonly TurnEvent[]): string {
  return mergeText(events)
    .map((event) => `${toAscii(JSON.stringify(toJson(event)))}\n`)
    .join("");
}

function mergeText(events: readonly TurnEvent[]): TurnEvent[] {
  const merged: TurnEvent[] = [];
  for (const event of events) {
    const last = merged.at(-1);
    const isMore = last && "text" in last && "text" in event && continuesText(last, event);
    if (isMore) merged[merged.length - 1] = { ...last, text: last.text + event.text };
    else merged.push(event);
  }
  return merged;
}

/** Reads lines that arrive in pieces. */
export class EventDecoder {
  #rest = "";

  /** Returns the events that are whole by now. Throws for a line that is not an event. */
  push(data: string): TurnEvent[] {
    // Splitting what is not whole yet would cost again at each piece of a long line.
    if (!data.includes("\n")) {
      this.#rest += data;
      return [];
    }
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

/** The names of the texts that each event has. */
const textsOf: Readonly<Record<TurnEvent["type"], readonly string[]>> = {
  "step-start": [],
  text: ["text"],
  reasoning: ["text"],
  "tool-arguments": ["id", "text"],
  "tool-call": ["id", "name"],
  "tool-input": ["id"],
  "tool-result": ["id", "content"],
  "step-end": [],
  end: ["status"],
};

/** Another version of this library, or somebody else, may have written the line. An event that is skipped would be missing in a whole answer. */
function fromJson(json: unknown): TurnEvent {
  if (typeof json === "string") return { type: "text", text: json };
  if (!isEvent(json)) throw new TypeError("The line is not an event.");
  return json.type === "end" ? toEnd(json) : json;
}

function isEvent(json: unknown): json is TurnEvent {
  if (!hasTexts(json, "type") || !Object.hasOwn(textsOf, json["type"] as string)) return false;
  const names = textsOf[json["type"] as TurnEvent["type"]];
  return hasTexts(json, ...names, ...("attempt" in json ? ["attempt"] : [])) && "text" in json === names.includes("text");
}

/** Only a complete answer has no error, so no other end passes for a complete one. */
function toEnd({ status, error }: EndEvent): EndEvent {
  if (status === "complete" && error === undefined) return { type: "end", status };
  if ((status !== "stopped" && status !== "failed") || !hasTexts(error, "code", "message")) throw new TypeError("The line is not an end.");
  const { code, message, param, retryAfter } = error as unknown as ErrorJson;
  return { type: "end", status, error: new ChatHandlerError(code, message, { param, retryAfter }) };
}

function toAscii(json: string): string {
  return json.replaceAll(/[\u007f-\uffff]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`);
}
