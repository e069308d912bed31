/** Checks the arguments of a store, so that an error names the mistake before the database sees it. */
import { ChatHandlerError, createInvalidRequest } from "../core/errors.ts";
import type { ListMessagesOptions, StoredMessage, ThreadKey, ThreadPage } from "../core/store.ts";

/** Throws unless the value is a positive integer. */
export function checkCount(name: string, value: number): void {
  if (!Number.isSafeInteger(value) || value < 1) throw new TypeError(`${name} must be a whole number from 1, not ${String(value)}`);
}

/** Checks the options of `listMessages`, and returns both bounds: `Infinity` stands for none. */
export function checkListOptions({ last, maxCharacters }: ListMessagesOptions): { last: number; maxCharacters: number } {
  if (last !== undefined) checkCount("last", last);
  if (maxCharacters !== undefined) checkCount("maxCharacters", maxCharacters);
  return { last: last ?? Infinity, maxCharacters: maxCharacters ?? Infinity };
}

/** Returns the number that the activities of a page are below. A cursor is the activity of the last thread on the page before. */
export function activityBelow({ limit, cursor }: ThreadPage): number {
  checkCount("limit", limit);
  if (cursor === undefined) return Number.MAX_SAFE_INTEGER;
  if (!/^[0-9]{1,15}$/.test(cursor)) throw createInvalidRequest("cursor", "must be a nextCursor of this store");
  return Number(cursor);
}

/**
 * Throws for a text that the database would change, so that two different texts never become one. Such texts come from clients, so the
 * error has the status 400.
 */
export interface TextCheck {
  (what: string, text: string): void;
  /** Checks the owner and the thread id of a key. */
  key(key: ThreadKey): void;
  /** Checks the ids of a message. */
  message(message: StoredMessage): void;
}

/** Creates the check for a database that cannot hold the characters that `lost` matches. */
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
