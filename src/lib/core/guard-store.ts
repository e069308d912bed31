/** Guards the calls of the app's store. */
import { callSafely, withTimeout } from "./async.ts";
import { toChatHandlerError } from "./errors.ts";
import { createOwnerGate } from "./owner-gate.ts";
import { parseMessages } from "./parse-rows.ts";
import type { MessageStore, ThreadStore } from "./store.ts";

/** How many threads of one owner are read at the same time. A thread can have megabytes, and its reader keeps little of it. */
const maxReads = 4;

/** Calls a method of the store, by its name. */
export type StoreCall = <T>(method: string, work: () => Promise<T>, isValid?: (result: T) => boolean, expected?: string) => Promise<T>;

/**
 * Wraps a store: each call that throws, rejects or takes longer than `timeout` milliseconds rejects with `store_failed`. Whether a call that
 * timed out takes effect later is unknown. Rows are read with care, and a few threads of one owner at a time.
 */
export function guardMessageStore(store: MessageStore, timeout: number): MessageStore {
  const call = createStoreCall(timeout);
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

/** The part of a store that a title needs. */
export type TitleStore = Pick<ThreadStore, "getThread" | "renameThread">;

/** Wraps the methods of a store that a title needs, as {@link guardMessageStore} does. */
export function guardTitleStore(store: TitleStore, timeout: number): TitleStore {
  const call = createStoreCall(timeout);
  return {
    getThread: (thread) => call("getThread", () => store.getThread(thread)),
    renameThread: (thread, title) => call("renameThread", () => store.renameThread(thread, title)),
  };
}

/** Creates the function that guards one call. `isValid` checks what it resolved to. */
export function createStoreCall(timeout: number): StoreCall {
  return async (method, work, isValid, expected = "an array") => {
    try {
      const result = await withTimeout(
        timeout,
        callSafely(work),
        () => new Error(`The store's ${method}() took longer than ${timeout} ms.`),
      );
      if (isValid?.(result) === false) {
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
