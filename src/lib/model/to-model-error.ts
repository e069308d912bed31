/** Errors of a model call. */
import { ChatHandlerError, toChatHandlerError } from "../core/errors.ts";

/** The error of a failed call. The provider's own words stay in `cause`. */
export function toModelError(cause: unknown): ChatHandlerError {
  const { status, headers } = Object(cause) as { status?: unknown; headers?: Partial<Headers> };
  if (status !== 429) return toChatHandlerError(cause, "model_failed", "The model could not answer.");
  const retryAfter = headers?.get?.("Retry-After") ?? undefined;
  return new ChatHandlerError("rate_limited", "The model gets too many requests. Try again later.", { cause, retryAfter });
}
