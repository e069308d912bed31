/** The public root: a chat endpoint from a store and a model. */
export { createChatHandler } from "./lib/chat/create-chat-handler.ts";
export type { ChatHandler } from "./lib/chat/create-chat-handler.ts";
export type { AuthorizeResult, ChatHandlerOptions } from "./lib/chat/options.ts";
export { allowAnyone } from "./lib/core/authorize.ts";
export type { AdmitContext, AdmitResult, Authorized, ErrorContext, RequestContext, TurnContext } from "./lib/core/context.ts";
export type { CoordinatorOptions } from "./lib/core/coordinator-options.ts";
export type {
  Coordinator,
  CoordinatorEntrance,
  CoordinatorHint,
  CoordinatorSettings,
  EntryPolicy,
  Follower,
  LogSlice,
  Ticket,
  TicketKey,
  TicketRequest,
  TicketStatus,
  TurnKey,
} from "./lib/core/coordinator.ts";
export { ChatHandlerError } from "./lib/core/errors.ts";
export type { ChatHandlerErrorCode, ChatHandlerErrorOptions } from "./lib/core/errors.ts";
export type { Limits, PartialOptions, Timeouts } from "./lib/core/limits.ts";
export type { ModelClient } from "./lib/core/model-client.ts";
export { promptText } from "./lib/core/prompt.ts";
export type { Prompt, PromptContent, PromptPartType } from "./lib/core/prompt.ts";
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
export type { ToolCallDelta, ToolContext, ToolRunner, ToolStep, ToolStepDraft } from "./lib/core/tool-runner.ts";
export type { SharedCoordinator } from "./lib/core/turn-registry.ts";
export { createMemoryStore } from "./lib/stores/memory.ts";
export type { MemoryStoreOptions } from "./lib/stores/memory.ts";
export type { DisconnectPolicy, GracePeriod, HistoryOptions, ModelParams, TitleContext, TurnEndEvent } from "./lib/turn/settings.ts";
