/** Misuse of the library by the app's code. */

/** Throws a `TypeError`. Use it for wrong options: the message names the problem and the fix. */
export function throwUsageError(message: string): never {
  throw new TypeError(`chat-handler: ${message}`);
}
