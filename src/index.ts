/** The public root: a chat endpoint from a store and a model. */
export { ChatHandlerError } from "./lib/errors.ts";
export type { ChatHandlerErrorCode, ChatHandlerErrorOptions } from "./lib/errors.ts";
export { createChatHandler } from "./lib/handler.ts";
export type { ChatHandler } from "./lib/handler.ts";
export type { ModelClient } from "./lib/model.ts";
export type {
  Authorized,
  AuthorizeResult,
  ChatHandlerOptions,
  EndedTurn,
  ErrorContext,
  HistoryOptions,
  Limits,
  ModelParams,
  RequestContext,
  SomeOf,
  Timeouts,
  TurnContext,
} from "./lib/options.ts";
export { promptText } from "./lib/prompt.ts";
export type { Prompt, PromptContent } from "./lib/prompt.ts";
export type { ToolRunner } from "./lib/tools.ts";
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
