/** Passes errors to the app. */
import { callSafely } from "./async.ts";
import type { ErrorContext } from "./context.ts";
import { type ChatHandlerError, toChatHandlerError } from "./errors.ts";

/** The option `onError` of a handler. */
export type OnError = (error: ChatHandlerError, context: ErrorContext) => unknown;

/** Calls `onError`. Ignores what it throws. Disconnects and stops are not reported. */
export function reportError(onError: OnError, thrown: unknown, context: ErrorContext): void {
  const error = toChatHandlerError(thrown);
  if (error.code === "client_gone" || error.code === "turn_stopped") return;
  callSafely(() => onError(error, context)).catch(() => {});
}
