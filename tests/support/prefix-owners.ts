/** Lets many tests share one store. */
import type { ThreadKey, ThreadStore } from "../../src/index.ts";

/** The same store with a prefix before every owner. Tests with different prefixes share tables, and never see each other's data. */
export function prefixOwners(store: ThreadStore, space: string): ThreadStore {
  return renameOwners(store, (owner) => space + owner);
}

/** The same store with other names for the owners. */
export function renameOwners(store: ThreadStore, rename: (owner: string) => string): ThreadStore {
  const renameKey = ({ owner, threadId }: ThreadKey): ThreadKey => ({ owner: rename(owner), threadId });
  return {
    listMessages: (thread, options) => store.listMessages(renameKey(thread), options),
    appendMessages: (thread, messages, options) => store.appendMessages(renameKey(thread), messages, options),
    updateMessage: (thread, id, change) => store.updateMessage(renameKey(thread), id, change),
    deleteMessages: (thread, ids) => store.deleteMessages(renameKey(thread), ids),
    listThreads: (owner, page) => store.listThreads(rename(owner), page),
    getThread: (thread) => store.getThread(renameKey(thread)),
    createThread: (thread, title) => store.createThread(renameKey(thread), title),
    renameThread: (thread, title) => store.renameThread(renameKey(thread), title),
    deleteThread: (thread) => store.deleteThread(renameKey(thread)),
    deleteOwner: (owner) => store.deleteOwner(rename(owner)),
  };
}
