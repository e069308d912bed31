/** The default of `onError`. */
import type { ChatHandlerError } from "./errors.ts";

/** Most characters of one line. */
const maxLineLength = 1_000;
/** Most causes of causes that are printed. */
const maxCauses = 4;

/**
 * Returns a function that prints the errors the app has to act on: `rate_limited`, and statuses of 500 and above. Clients cause the others,
 * and must not be able to fill the log. `body_already_read` is printed once: it is a mistake in the mounting, and fails every request.
 *
 * Each error is one line with its code, its status and the messages of its causes, at most 1,000 characters long. Control characters are
 * escaped: a provider's words cannot forge another line.
 */
export function createErrorLog(): (error: ChatHandlerError) => void {
  let isMountingReported = false;
  return (error) => {
    if (error.code === "body_already_read") {
      if (isMountingReported) return;
      isMountingReported = true;
    }
    if (error.status >= 500 || error.code === "rate_limited") console.error(toLogLine(error));
  };
}

/** The error as one line. */
function toLogLine(error: ChatHandlerError): string {
  const parts = [`chat-handler: ${error.code} (${error.status}): ${error.message}`, ...describeCauses(error.cause)];
  const line = parts.map((part) => escapeControls(part.slice(0, maxLineLength))).join(" | cause: ");
  return line.length > maxLineLength ? `${line.slice(0, maxLineLength - 1).toWellFormed()}…` : line;
}

function describeCauses(cause: unknown): string[] {
  const causes: string[] = [];
  for (let next = cause; next !== undefined && next !== null && causes.length < maxCauses; next = causeOf(next))
    causes.push(describe(next));
  return causes;
}

/** Reads a property of any value. A getter or a Proxy may throw. */
function readField(value: unknown, name: string): unknown {
  try {
    return (Object(value) as Record<string, unknown>)[name];
  } catch {
    return undefined;
  }
}

const causeOf = (value: unknown) => readField(value, "cause");

/** Name, message and, of an error in the app's own code, the place where it was thrown. */
function describe(value: unknown): string {
  const message = readField(value, "message");
  if (typeof message !== "string") return typeof value === "string" ? value : typeof value;
  const name = readField(value, "name");
  const stack = readField(value, "stack");
  const place = typeof stack === "string" ? findPlace(stack, message) : "";
  return `${typeof name === "string" ? name : "Error"}: ${message.slice(0, maxLineLength / 2)}${place}`;
}

function findPlace(stack: string, message: string): string {
  // The message is part of the stack, and may be of any length.
  const start = stack.indexOf(message);
  const frame = /^\s*at (.{1,200})$/m.exec(stack.slice(start === -1 ? 0 : start + message.length, maxStackLength + message.length));
  return frame ? ` at ${frame[1]}` : "";
}

/** How much of a stack is searched for its first frame. */
const maxStackLength = 2_000;

function escapeControls(text: string): string {
  return text.replace(/[\p{Cc}\u2028\u2029]/gu, (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`);
}
