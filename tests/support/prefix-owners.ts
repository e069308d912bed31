/** Lets many tests share one store. */
import type { ThreadKey, ThreadStore } from "../../src/index.ts";

/** The same store with a prefix before every owner. Tests with different prefixes share tables, and never see each other's data. */
export function prefixOwners(store: ThreadStore, space: string): ThreadStore {
  const prefixOwner = ({ owner, threadId }: ThreadKey): ThreadKey => ({ owner: space + owner, threadId });
  return {
    listMessages: (thread, options) => store.listMessages(prefixOwner(thread), options),
    appendMessages: (thread, messages, options) => store.appendMessages(prefixOwner(thread), messages, options),
    updateMessage: (thread, id, change) => store.updateMessage(prefixOwner(thread), id, change),
    deleteMessages: (thread, ids) => store.deleteMessages(prefixOwner(thread), ids),
    listThreads: (owner, page) => store.listThreads(space + owner, page),
    getThread: (thread) => store.getThread(prefixOwner(thread)),
    createThread: (thread, title) => store.createThread(prefixOwner(thread), title),
    renameThread: (thread, title) => store.renameThread(prefixOwner(thread), title),
    deleteThread: (thread) => store.deleteThread(prefixOwner(thread)),
    deleteOwner: (owner) => store.deleteOwner(space + owner),
  };
}
