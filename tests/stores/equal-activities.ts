/** What a list does with threads of equal activity, which appends that meet can leave. */
import { expect } from "vitest";
import type { ThreadStore } from "../../src/index.ts";
import { prompts } from "./samples.ts";

/** `setAll` gives all threads in the store this activity. */
export async function expectOneOrder(store: ThreadStore, setAll: (activity: number) => Promise<unknown>): Promise<void> {
  const ids = Array.from({ length: 12 }, (_, index) => `thread ${index}`);
  for (const threadId of ids) await store.createThread({ owner: "ada", threadId }, "");
  await store.createThread({ owner: "eve", threadId: ids[0]! }, "");
  await setAll(7);
  const order = (await store.listThreads("ada", { limit: 100 })).threads.map(({ threadId }) => threadId);
  expect(order.toSorted()).toEqual(ids.toSorted());
  for (const limit of [1, 2, 3, 5, 11]) expect(await walk(store, limit)).toEqual(order);

  // Those that are touched or deleted during a walk change nothing for the others.
  const [touched, deleted, ...others] = order.toReversed();
  const met = await walk(store, 1, async (page) => {
    if (page === 2) await store.appendMessages({ owner: "ada", threadId: touched! }, prompts("a"));
    if (page === 3) await store.deleteThread({ owner: "ada", threadId: deleted! });
  });
  expect(met).toEqual(others.toReversed());
  expect(await walk(store, 5)).toEqual([touched, ...others.toReversed()]);
}

async function walk(store: ThreadStore, limit: number, between = async (_page: number): Promise<void> => {}): Promise<string[]> {
  const met: string[] = [];
  let cursor: string | undefined;
  for (let page = 1; ; page++) {
    const { threads, nextCursor } = await store.listThreads("ada", { limit, cursor });
    met.push(...threads.map(({ threadId }) => threadId));
    if (nextCursor === undefined) return met;
    cursor = nextCursor;
    await between(page);
  }
}
