/** Room for many in one store. */
import type { ThreadKey, ThreadStore } from "../../src/index.ts";

/** The same store, but every owner's name begins with `space`: who uses it meets nobody who uses it in another space, and shares its tables. */
export function inSpace(store: ThreadStore, space: string): ThreadStore {
  const within = ({ owner, threadId }: ThreadKey): ThreadKey => ({ owner: space + owner, threadId });
  return {
    listMessages: (thread, options) => store.listMessages(within(thread), options),
    appendMessages: (thread, messages, options) => store.appendMessages(within(thread), messages, options),
    updateMessage: (thread, id, change) => store.updateMessage(within(thread), id, change),
    deleteMessages: (thread, ids) => store.deleteMessages(within(thread), ids),
    listThreads: (owner, page) => store.listThreads(space + owner, page),
    getThread: (thread) => store.getThread(within(thread)),
    createThread: (thread, title) => store.createThread(within(thread), title),
    renameThread: (thread, title) => store.renameThread(within(thread), title),
    deleteThread: (thread) => store.deleteThread(within(thread)),
    deleteOwner: (owner) => store.deleteOwner(space + owner),
  };
}
