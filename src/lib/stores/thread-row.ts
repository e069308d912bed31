/** Rows of the threads table, as PostgreSQL and MySQL select them. */
import { createInvalidRequest } from "../core/errors.ts";
import type { Thread, ThreadList, ThreadPage } from "../core/store.ts";
import { checkCount } from "./arguments.ts";

/** The columns of a thread, in this order. The hash is that of the thread id: it orders threads of equal activity. */
export type ThreadRow = [threadId: string, title: string, createdAt: number, updatedAt: number, activity: number, hash: string | number];

/** Returns the thread of a row. */
export function readThread([threadId, title, createdAt, updatedAt]: ThreadRow): Thread {
  return { threadId, title, createdAt, updatedAt };
}

/** Returns the activity and the hash that all rows of a page come after. `pattern` matches a cursor and has a group for each. */
export function pageStart({ limit, cursor }: ThreadPage, pattern: RegExp): [activity: string, hash: string] {
  checkCount("limit", limit);
  if (cursor === undefined) return [String(Number.MAX_SAFE_INTEGER), "0"];
  const [, activity, hash] = pattern.exec(cursor) ?? [];
  if (activity === undefined || hash === undefined) throw createInvalidRequest("cursor", "must be a nextCursor of this store");
  return [activity, hash];
}

/** Returns the page of rows that were selected with a limit of one more: that one says whether another page follows. */
export function readPage(rows: readonly ThreadRow[], limit: number): ThreadList {
  const page = rows.slice(0, limit);
  const last = page.at(-1);
  return { threads: page.map(readThread), ...(last && rows.length > limit && { nextCursor: `${last[4]}-${last[5]}` }) };
}
