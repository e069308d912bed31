/** Checks of what the app passes to a store, each naming the fault before the database sees it. */
import { ChatHandlerError, createInvalidRequest } from "../core/errors.ts";
import { throwUsageError } from "../core/usage-error.ts";
import type { StoredMessage, ThreadKey, ThreadPage } from "../core/store.ts";

/** Refuses options that do not exist: a misspelt one would silently do nothing. */
export function checkOptionNames(factory: string, options: object, known: readonly string[]): void {
  for (const name of Object.keys(options)) {
    if (!known.includes(name)) throwUsageError(`${factory} has no option "${name}": its options are ${known.join(", ")}`);
  }
}

/** Refuses a name that would have to be escaped in SQL. Ends of names are ours, so there is room left for them. */
export function checkIdentifier(option: string, name: string): void {
  if (!/^[A-Za-z_][A-Za-z0-9_]{0,39}$/.test(name)) {
    throwUsageError(`${option} must be a name of at most 40 letters, digits and underscores, not ${JSON.stringify(name)}`);
  }
}

/** Refuses anything but a whole number from 1. */
export function checkCount(name: string, value: number): void {
  if (!Number.isSafeInteger(value) || value < 1) throw new TypeError(`${name} must be a whole number from 1, not ${String(value)}`);
}

/** Where a page begins: threads with an activity below this number. Cursors are the activity of the last thread given. */
export function activityBelow({ limit, cursor }: ThreadPage): number {
  checkCount("limit", limit);
  if (cursor === undefined) return Number.MAX_SAFE_INTEGER;
  if (!/^[0-9]{1,15}$/.test(cursor)) throw createInvalidRequest("cursor", "was not handed out by this store");
  return Number(cursor);
}

/**
 * Refuses texts that the database would change, so that two different ones are never folded into one. They come from clients:
 * the error is theirs, with status 400.
 */
export interface TextCheck {
  (what: string, text: string): void;
  /** The same for both parts of a key. */
  key(key: ThreadKey): void;
  /** The same for the ids of a message. */
  message(message: StoredMessage): void;
}

/** Makes the check for a database that cannot hold the characters which `lost` finds. */
export function textCheck(lost: RegExp, characters: string): TextCheck {
  function check(what: string, text: string): void {
    if (typeof text !== "string") throw new TypeError(`The ${what} must be a string, not ${typeof text}`);
    if (lost.test(text)) throw new ChatHandlerError("invalid_request", `The ${what} has ${characters}, which the database cannot hold.`);
  }
  check.key = ({ owner, threadId }: ThreadKey): void => {
    check("owner", owner);
    check("thread id", threadId);
  };
  check.message = ({ id, promptId }: StoredMessage): void => {
    check("message id", id);
    check("prompt id", promptId);
  };
  return check;
}
