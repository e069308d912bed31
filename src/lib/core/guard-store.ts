/** Guards the calls of the app's store. */
import { callSafely, withTimeout } from "./async.ts";
import { toChatHandlerError } from "./errors.ts";
import { createOwnerGate } from "./owner-gate.ts";
import { hasTexts, parseMessages } from "./parse-rows.ts";
import type { MessageStore, ThreadList, ThreadStore } from "./store.ts";

/** How many threads of one owner are read at the same time. A thread can have megabytes, and its reader keeps little of it. */
const maxReads = 4;

type Call = <T>(method: string, work: () => Promise<T>, isValid?: (result: T) => boolean) => Promise<T>;

/**
 * Wraps a store: each call that throws, rejects or takes longer than `timeout` milliseconds rejects with `store_failed`. Whether a call that
 * timed out takes effect later is unknown. Rows are read with care, and a few threads of one owner at a time.
 */
export function guardMessageStore(store: MessageStore, timeout: number): MessageStore {
  const call = createCall(timeout);
  const gate = createOwnerGate(maxReads, timeout, () =>
    toStoreError(new Error(`Other reads of the owner took longer than ${timeout} ms.`)),
  );
  return {
    async listMessages(thread, options) {
      const read = () => call("listMessages", () => store.listMessages(thread, options), Array.isArray);
      return parseMessages(await gate(thread.owner, read));
    },
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
    async listThreads(owner, page) {
      const { threads, ...rest } = await call("listThreads", () => store.listThreads(owner, page), isThreadList);
      return { ...rest, threads: threads.filter((thread) => hasTexts(thread, "threadId")) };
    },
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
      if (isValid?.(result) === false) {
        const expected = method === "listThreads" ? "{ threads }" : "an array";
        throw new Error(`${method}() must resolve to ${expected}. Check your store's implementation.`);
      }
      return result;
    } catch (error) {
      throw toStoreError(error);
    }
  };
}

function toStoreError(cause: unknown): Error {
  return toChatHandlerError(cause, "store_failed", "The conversation could not be read or stored. Try again.");
}

function isThreadList(list: ThreadList): boolean {
  return Array.isArray(list?.threads);
}
