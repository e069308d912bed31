/** In the browser: the functions for C1Chat's thread managers. */
export { createC1Chat } from "./lib/c1-client/create-c1-chat.ts";
export type { C1Chat, C1ChatOptions } from "./lib/c1-client/create-c1-chat.ts";
export { createC1Threads } from "./lib/c1-client/create-c1-threads.ts";
export type { C1Message, C1Thread, C1Threads, C1ThreadsOptions } from "./lib/c1-client/create-c1-threads.ts";
export type { HttpOptions } from "./lib/c1-client/http.ts";
export type { JsonValue } from "./lib/c1-client/prompt-markup.ts";
export type { C1Prompt, C1SentMessage, C1ThreadManager, ShownAnswer, ShownPrompt, ShownTemplate } from "./lib/c1-client/shown-messages.ts";
export type { C1UnfinishedTurn } from "./lib/c1-client/thread-view.ts";
