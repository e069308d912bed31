/** The public root: a chat endpoint from a store and a model. */
export { ChatHandlerError } from "./lib/errors.ts";
export type { ChatHandlerErrorCode, ChatHandlerErrorOptions } from "./lib/errors.ts";
export type {
  AppendMessagesOptions,
  ListMessagesOptions,
  MessageChange,
  MessageStatus,
  MessageStore,
  StoredMessage,
  Thread,
  ThreadKey,
  ThreadList,
  ThreadPage,
  ThreadStore,
} from "./lib/store.ts";
export { createMemoryStore } from "./lib/stores/memory.ts";
export type { MemoryStoreOptions } from "./lib/stores/memory.ts";
