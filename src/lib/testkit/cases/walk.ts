/** Walks over the pages of an owner's threads. */
import type { ThreadStore } from "../../core/store.ts";
import { expectThat, show } from "../expect.ts";

/** What happens after each page of a walk: the number of the page, and its `nextCursor`. */
type Between = (page: number, nextCursor: string | undefined) => Promise<unknown>;

/** Returns the ids of an owner's threads, walked in pages of the given size. */
export async function walk(store: ThreadStore, limit: number, owner = "", between?: Between): Promise<string[]> {
  const ids: string[] = [];
  let cursor: string | undefined;
  for (let page = 1; page <= 200; page++) {
    const list = await store.listThreads(owner, { limit, cursor });
    expectThat(list.threads.length <= limit, `listThreads gave ${list.threads.length} threads for a page of ${limit}`);
    ids.push(...list.threads.map(({ threadId }) => threadId));
    await between?.(page, list.nextCursor);
    cursor = list.nextCursor;
    if (cursor === undefined) return ids;
  }
  expectThat(false, `The walk by listThreads in pages of ${limit} has not ended after 200 pages: ${show(ids)}`);
}
