/** A user's app that uses every public type once. */
import {
  ChatHandlerError,
  createChatHandler,
  createMemoryStore,
  type ChatHandler,
  type ChatHandlerOptions,
  type MessageStore,
  type StoredMessage,
  type ThreadKey,
} from "chat-handler";
import { createDemoModel } from "chat-handler/demo-model";
import OpenAI from "openai";

const messages = new Map<string, StoredMessage[]>();
const keyOf = ({ owner, threadId }: ThreadKey): string => JSON.stringify([owner, threadId]);

/** The user's own store. */
const store: MessageStore = {
  listMessages: (thread, options = {}) => Promise.resolve((messages.get(keyOf(thread)) ?? []).slice(-(options.last ?? 0))),
  appendMessages: (thread, added) => {
    messages.set(keyOf(thread), [...(messages.get(keyOf(thread)) ?? []), ...added]);
    return Promise.resolve(added.map(({ id }) => id));
  },
  updateMessage: () => Promise.resolve(false),
  deleteMessages: () => Promise.resolve(),
};

const client = new OpenAI({ apiKey: "none", baseURL: "http://demo.invalid/v1", fetch: createDemoModel({ tokensPerSecond: 0 }) });

const options: ChatHandlerOptions = {
  client,
  model: ({ owner }) => (owner === "" ? "small" : "large"),
  store: createMemoryStore(),
  systemPrompt: undefined,
  params: { temperature: 0.2, stream_options: { include_usage: true } },
  authorize({ request }) {
    const owner = request.headers.get("x-user");
    if (owner === null) throw new ChatHandlerError("unauthorized", "Sign in first.");
    return { owner };
  },
  onError: (error, { threadId }) => error.code === "store_failed" && threadId,
};

export const handler: ChatHandler = createChatHandler(options);
export const plain: ChatHandler = createChatHandler({ client, model: "demo", store });
