/** The default of `onError`. */
import type { ChatHandlerError } from "./errors.ts";

/**
 * Returns a function that prints the errors the app has to act on: `rate_limited`, and statuses of 500 and above. Clients cause the others,
 * and must not be able to fill the log. `body_already_read` is printed once: it is a mistake in the mounting, and fails every request.
 */
export function createErrorLog(): (error: ChatHandlerError) => void {
  let isMountingReported = false;
  return (error) => {
    if (error.code === "body_already_read") {
      if (isMountingReported) return;
      isMountingReported = true;
    }
    if (error.status >= 500 || error.code === "rate_limited") console.error(error);
  };
}
