/** Guards the calls of a store with threads. */
import { createStoreCall, guardMessageStore, guardTitleStore } from "../core/guard-store.ts";
import { hasTexts } from "../core/parse-rows.ts";
import type { ThreadList, ThreadStore } from "../core/store.ts";

/** Wraps a store with threads, as {@link guardMessageStore} does. */
export function guardThreadStore(store: ThreadStore, timeout: number): ThreadStore {
  const call = createStoreCall(timeout);
  return {
    ...guardMessageStore(store, timeout),
    ...guardTitleStore(store, timeout),
    async listThreads(owner, page) {
      const { threads, ...rest } = await call("listThreads", () => store.listThreads(owner, page), isThreadList, "{ threads }");
      return { ...rest, threads: threads.filter((thread) => hasTexts(thread, "threadId")) };
    },
    createThread: (thread, title) => call("createThread", () => store.createThread(thread, title)),
    deleteThread: (thread) => call("deleteThread", () => store.deleteThread(thread)),
    deleteOwner: (owner) => call("deleteOwner", () => store.deleteOwner(owner)),
  };
}

function isThreadList(list: ThreadList): boolean {
  return Array.isArray(list?.threads);
}
