/** Misuse of the library by the app's code. */

/** Throws a `TypeError`. Use it for wrong options: the message names the problem and the fix. */
export function throwUsageError(message: string): never {
  throw new TypeError(`chat-handler: ${message}`);
}

/** Throws for the request of a framework that is not a `Request`. */
export function checkRequest(request: Request): void {
  if (typeof request?.headers?.get === "function") return;
  throwUsageError("The handler needs a Request. Pass the framework's own: in Hono, that is `context.req.raw`.");
}

/** Throws for an option that does not exist. Without this check, a misspelled option would silently do nothing. */
export function checkOptionNames(factory: string, options: object, known: readonly string[]): void {
  for (const name of Object.keys(options)) {
    if (!known.includes(name)) throwUsageError(`${factory} has no option "${name}": its options are ${known.join(", ")}`);
  }
}
