/** The public root: a chat endpoint from a store and a model. */
export { ChatHandlerError } from "./lib/core/errors.ts";
export type { ChatHandlerErrorCode, ChatHandlerErrorOptions } from "./lib/core/errors.ts";
export { createChatHandler } from "./lib/chat/create-chat-handler.ts";
export type { ChatHandler } from "./lib/chat/create-chat-handler.ts";
export type { ModelClient } from "./lib/model/model.ts";
export type {
  Authorized,
  AuthorizeResult,
  ChatHandlerOptions,
  TurnEndEvent,
  ErrorContext,
  HistoryOptions,
  Limits,
  ModelParams,
  RequestContext,
  Timeouts,
  TurnContext,
} from "./lib/chat/options.ts";
export { promptText } from "./lib/core/prompt.ts";
export type { Prompt, PromptContent } from "./lib/core/prompt.ts";
export type { ToolRunner } from "./lib/tools/create-tools.ts";
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
} from "./lib/core/store.ts";
export { createMemoryStore } from "./lib/stores/memory.ts";
export type { MemoryStoreOptions } from "./lib/stores/memory.ts";
