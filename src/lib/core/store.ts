/**
 * The store contract: what a database has to promise so that a conversation is never lost, doubled,
 * corrupted or shown to the wrong person.
 *
 * Two tiers, each a whole interface: a store that keeps messages is a {@link MessageStore}; one that
 * also lists, renames and deletes threads is a {@link ThreadStore}. Every method of a tier is required.
 * Each `INVARIANT` below is a case of the kit in `chat-handler/testkit`, but for what calls cost.
 *
 * Evolution: within a major version no required method, parameter or field is added to a tier. New
 * abilities come as a new tier, new facts as optional fields, which a store keeps like all others
 * (so keep a message whole, for example as JSON, rather than field by field).
 *
 * All times are epoch milliseconds.
 */
import type { ChatCompletionMessageParam } from "openai/resources/chat/completions";
import type { CompletionUsage } from "openai/resources/completions";

/**
 * Names one thread. Owner and thread id together are the key: the same thread id under two owners is two
 * threads.
 *
 * INVARIANT: any string is a legal owner or thread id (`""` as an owner, `__proto__`, `a/b`, `%`, NUL, lone
 * surrogates). Two different keys are kept apart, or refused with an error that says why the database
 * cannot hold them; they are never folded together.
 */
export interface ThreadKey {
  /** The user or tenant the thread belongs to; `""` where the app has no users. */
  owner: string;
  /** The thread's id, made by the client. */
  threadId: string;
}

/** A thread's key as one string. As JSON, no two pairs of strings meet in one. */
export const keyOf = ({ owner, threadId }: ThreadKey): string => JSON.stringify([owner, threadId]);

/**
 * How an answer ended: `complete` is whole; `stopped` was cut short by the person (or a lost
 * connection); `failed` was cut short by a fault.
 */
export type MessageStatus = "complete" | "stopped" | "failed";

/**
 * One message of a thread, as a store keeps it. Plain JSON data; a field that is `undefined` counts as absent.
 *
 * INVARIANT: kept whole and exact, with fields and kinds the store does not know, or refused with an error.
 * INVARIANT: ids are compared exactly: any two different strings are two messages, or refused with an error.
 */
export interface StoredMessage {
  /** Unique within its thread. A prompt's id comes from the client; so does the final answer's (the response id). */
  id: string;
  /** Id of the prompt whose turn this message belongs to; a prompt names itself. */
  promptId: string;
  /** The message in OpenAI's form, as it is sent to the model. */
  message: ChatCompletionMessageParam;
  /** How the answer it belongs to ended, tool calls and results included. Prompts are always `complete`. */
  status: MessageStatus;
  /** When it was made, in epoch milliseconds. For people to read: order never comes from it. */
  createdAt: number;
  /** The model's finish reason, on assistant messages, where one arrived. */
  finishReason?: string | undefined;
  /** The tokens it cost, on assistant messages, where the model reported them. */
  usage?: CompletionUsage | undefined;
}

/** What {@link MessageStore.updateMessage} may change. A field that is absent or `undefined` stays as it is. */
export type MessageChange = Partial<Omit<StoredMessage, "id" | "promptId">>;

/** Options of {@link MessageStore.listMessages}. */
export interface ListMessagesOptions {
  /** Only the newest this many messages, still oldest first. A positive integer. @default all */
  last?: number | undefined;
}

/** Options of {@link MessageStore.appendMessages}. */
export interface AppendMessagesOptions {
  /** Title for the thread if this append creates it. A store without threads ignores it. @default "" */
  title?: string | undefined;
  /** Id of the prompt that the batch answers: the `promptId` of all its messages. They take the place of what a broken attempt left. */
  replacesAnswerTo?: string | undefined;
}

/** Keeps the messages of threads. A plain object from a factory; rejects with the database's own error. */
export interface MessageStore {
  /**
   * The messages of a thread, oldest first.
   *
   * INVARIANT: an unknown thread gives an empty array, never an error.
   * INVARIANT: the order is that of appending, by the store's own sequence and never by a clock.
   * INVARIANT: `last: n` gives the newest n, still oldest first, at a cost that does not grow with the thread.
   * INVARIANT: values handed out share nothing with the store: changing them changes nothing stored.
   */
  listMessages(thread: ThreadKey, options?: ListMessagesOptions): Promise<StoredMessage[]>;

  /**
   * Adds messages at the end of a thread, creating the thread with its first message, and resolves to the
   * ids it stored.
   *
   * INVARIANT: all or nothing: when it rejects, no message of the batch is stored, and none is removed.
   * INVARIANT: the batch stays contiguous and in order, whoever else appends at that moment, from any process.
   * INVARIANT: an id already in the thread (or repeated in the batch; but see `replacesAnswerTo`) is left as it is and not among the returned ids.
   * INVARIANT: with `replacesAnswerTo`, the other messages with that prompt's id as `promptId` are removed, wherever they stand, and the whole
   * batch is stored, in one atomic step. But where the prompt is not in the thread, one of those messages is `complete`, or an id of the batch is in the
   * thread outside of them, nothing is removed or stored, and `[]` returned. So a prompt is never answered twice, and what was deleted
   * does not come back with its answer, whoever else answers it and however late this call arrives.
   * INVARIANT: a reader sees a batch whole or not at all, and either what is removed for it or the batch in its place.
   * INVARIANT: once it resolves, the messages are as durable as the database makes them.
   * INVARIANT: values handed in are not kept: changing them later changes nothing stored.
   * INVARIANT: an empty batch stores, removes and creates nothing.
   */
  appendMessages(thread: ThreadKey, messages: readonly StoredMessage[], options?: AppendMessagesOptions): Promise<string[]>;

  /**
   * Changes one message in its place and resolves to whether it was there. C1 saves form state so.
   *
   * INVARIANT: position, id and the fields not named stay as they were.
   * INVARIANT: an unknown thread or id gives `false` and creates nothing.
   */
  updateMessage(thread: ThreadKey, id: string, change: MessageChange): Promise<boolean>;

  /**
   * Removes messages by id. The thread stays, even without messages.
   *
   * INVARIANT: all or nothing; unknown ids are ignored; other threads and owners are untouched.
   */
  deleteMessages(thread: ThreadKey, ids: readonly string[]): Promise<void>;
}

/** The methods of a {@link MessageStore}. */
export const messageStoreMethods: readonly (keyof MessageStore)[] = ["listMessages", "appendMessages", "updateMessage", "deleteMessages"];

/** A thread as it is listed. */
export interface Thread {
  /** The thread's id. */
  threadId: string;
  /** What the list shows; from the first prompt unless renamed. */
  title: string;
  /** When it was made, in epoch milliseconds. */
  createdAt: number;
  /** When a message was last appended, in epoch milliseconds. For people to read: order never comes from it. */
  updatedAt: number;
}

/** Which page of threads {@link ThreadStore.listThreads} gives. */
export interface ThreadPage {
  /** At most this many threads. A positive integer. */
  limit: number;
  /** Where the page before ended: its `nextCursor`. @default the first page */
  cursor?: string | undefined;
}

/** A page of threads. */
export interface ThreadList {
  /** The threads, latest activity first. */
  threads: Thread[];
  /** Asks for the page after this one; absent on the last. Only `A-Z a-z 0-9 - _`: it survives a URL unencoded. */
  nextCursor?: string | undefined;
}

/** A {@link MessageStore} that also knows the threads of an owner. */
export interface ThreadStore extends MessageStore {
  /**
   * A page of an owner's threads, latest activity first.
   *
   * INVARIANT: activity is an append or a creation, ordered by the store's own sequence; renaming is none, nor is an append
   * that stores nothing.
   * INVARIANT: walking the pages meets every thread that stays untouched meanwhile exactly once.
   * INVARIANT: the last page has no `nextCursor`.
   * INVARIANT: a cursor that was not handed out rejects, or gives a page of this owner's threads; never another's.
   * INVARIANT: the cost of a page does not grow with the number of threads.
   */
  listThreads(owner: string, page: ThreadPage): Promise<ThreadList>;

  /** One thread, or `undefined` where this owner has none of that id. */
  getThread(thread: ThreadKey): Promise<Thread | undefined>;

  /**
   * Makes a thread without messages.
   *
   * INVARIANT: a thread already there is left as it is and returned.
   */
  createThread(thread: ThreadKey, title: string): Promise<Thread>;

  /**
   * Changes the title and resolves to whether the thread was there.
   *
   * INVARIANT: an unknown thread gives `false` and is not created.
   */
  renameThread(thread: ThreadKey, title: string): Promise<boolean>;

  /**
   * Removes a thread with all its messages and resolves to whether it was there.
   *
   * INVARIANT: nothing of it is left, and every other thread is untouched.
   */
  deleteThread(thread: ThreadKey): Promise<boolean>;

  /**
   * Removes all threads of an owner with all their messages.
   *
   * INVARIANT: nothing of the owner is left, and every other owner is untouched.
   */
  deleteOwner(owner: string): Promise<void>;
}

/** What a {@link ThreadStore} has besides. */
export const threadStoreMethods: readonly (keyof ThreadStore)[] = [
  "listThreads",
  "getThread",
  "createThread",
  "renameThread",
  "deleteThread",
  "deleteOwner",
];
