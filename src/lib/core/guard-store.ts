/** Guards the calls of the app's store. */
import { callSafely, withTimeout } from "./async.ts";
import { toChatHandlerError } from "./errors.ts";
import type { MessageStore, ThreadStore } from "./store.ts";

type Call = <T>(method: string, work: () => Promise<T>, isValid?: (result: T) => boolean) => Promise<T>;

/**
 * Wraps a store: each call that throws, rejects or takes longer than `timeout` milliseconds rejects with `store_failed`. Whether a call that
 * timed out takes effect later is unknown.
 */
export function guardMessageStore(store: MessageStore, timeout: number): MessageStore {
  const call = createCall(timeout);
  return {
    listMessages: (thread, options) => call("listMessages", () => store.listMessages(thread, options), Array.isArray),
    appendMessages: (thread, messages, options) =>
      call("appendMessages", () => store.appendMessages(thread, messages, options), Array.isArray),
    updateMessage: (thread, id, change) => call("updateMessage", () => store.updateMessage(thread, id, change)),
    deleteMessages: (thread, ids) => call("deleteMessages", () => store.deleteMessages(thread, ids)),
  };
}

/** Wraps a store with threads, as {@link guardMessageStore} does. */
export function guardThreadStore(store: ThreadStore, timeout: number): ThreadStore {
  const call = createCall(timeout);
  return {
    ...guardMessageStore(store, timeout),
    listThreads: (owner, page) => call("listThreads", () => store.listThreads(owner, page)),
    getThread: (thread) => call("getThread", () => store.getThread(thread)),
    createThread: (thread, title) => call("createThread", () => store.createThread(thread, title)),
    renameThread: (thread, title) => call("renameThread", () => store.renameThread(thread, title)),
    deleteThread: (thread) => call("deleteThread", () => store.deleteThread(thread)),
    deleteOwner: (owner) => call("deleteOwner", () => store.deleteOwner(owner)),
  };
}

function createCall(timeout: number): Call {
  return async (method, work, isValid) => {
    try {
      const result = await withTimeout(
        timeout,
        callSafely(work),
        () => new Error(`The store's ${method}() took longer than ${timeout} ms.`),
      );
      if (isValid?.(result) === false) throw new Error(`${method}() must resolve to an array. Check your store's implementation.`);
      return result;
    } catch (error) {
      throw toChatHandlerError(error, "store_failed", "The conversation could not be read or stored. Try again.");
    }
  };
}
