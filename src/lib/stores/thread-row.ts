/** Rows of the threads table, as every SQL store selects them. */
import type { Thread, ThreadList } from "../core/store.ts";

/** The columns of a thread, in this order. */
export type ThreadRow = [threadId: string, title: string, createdAt: number, updatedAt: number, activity: number];

/** Returns the thread of a row. */
export function readThread([threadId, title, createdAt, updatedAt]: ThreadRow): Thread {
  return { threadId, title, createdAt, updatedAt };
}

/** Returns the page of rows that were selected with a limit of one more: that one says whether another page follows. */
export function readPage(rows: readonly ThreadRow[], limit: number): ThreadList {
  const page = rows.slice(0, limit);
  const last = page.at(-1);
  return { threads: page.map(readThread), ...(last && rows.length > limit && { nextCursor: String(last[4]) }) };
}
