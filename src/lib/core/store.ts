/**
 * The store contract: what a database must guarantee so that a conversation is never lost, duplicated, corrupted or shown to
 * the wrong person.
 *
 * There are two tiers, each a whole interface. A {@link MessageStore} keeps messages. A {@link ThreadStore} also lists, renames and
 * deletes threads. Every method of a tier is required. The kit in `chat-handler/testkit` has cases for each `INVARIANT` below, except
 * for those about cost.
 *
 * Three invariants bind every method:
 *
 * INVARIANT: every instance sees what a call did as soon as the call resolves: the same instance, another process, and a store opened
 * later. Caches, replicas and counters in the process must not show.
 * INVARIANT: calls may meet, within a process and between processes. Each is atomic, none is lost, and none fails only because it met
 * another: retry deadlocks and lost races.
 * INVARIANT: a call that fails changes nothing, and the store works on after it.
 *
 * Sizes that every store must hold: a message, and a batch, of 1 MB as JSON; a batch of 1,000 messages; a thread of 10,000 messages and
 * 18 MB; 1,000 ids in one deletion; a page of 1,000 threads; an owner with more threads than that. {@link ThreadKey} and
 * {@link StoredMessage} say how long ids are, {@link Thread} how long titles are.
 *
 * A store refuses what its database cannot hold: it rejects before it changes anything. The handler answers 503 for that, unless
 * the error is a `ChatHandlerError` with the code `invalid_request`, which it answers with 400.
 *
 * Evolution: within a major version no required method, parameter or field is added to a tier. New abilities come as a new tier, new
 * data as optional fields. Keep each message whole, for example as JSON text, and your store keeps those, too.
 *
 * All times are epoch milliseconds.
 */
import type { ChatCompletionMessageParam } from "openai/resources/chat/completions";
import type { CompletionUsage } from "openai/resources/completions";

/**
 * Names one thread. Owner and thread id together are the key: the same thread id under two owners is two threads.
 *
 * INVARIANT: every method compares keys exactly. Two different keys are two threads: case, accents, trailing spaces, numbers and
 * characters that a collation ignores all make a difference, and so does the last character of a long key.
 * INVARIANT: a key that is refused touches no other thread, in reads, updates and deletions as in appends.
 *
 * Every store must hold any string of up to 512 bytes in UTF-8 (`__proto__`, `..`, `a/b`, `%`, emoji). If an index is shorter than
 * that, index a hash of the key. A store may refuse longer strings, NUL, half of a surrogate pair, and an empty thread id.
 */
export interface ThreadKey {
  /** The user or tenant the thread belongs to. `""` if the app has no users: an owner like any other, never "all owners". */
  owner: string;
  /** The thread's id. The client makes it. */
  threadId: string;
}

/** Returns a thread's key as one string. JSON makes a different string of each key. */
export function keyOf({ owner, threadId }: ThreadKey): string {
  return JSON.stringify([owner, threadId]);
}

/** How an answer ended: `complete` is whole, `stopped` was ended by a disconnect, a stop or a newer prompt, `failed` by an error. */
export type MessageStatus = "complete" | "stopped" | "failed";

/**
 * One message of a thread, as a store keeps it: plain JSON data. A field that is `undefined` counts as absent.
 *
 * INVARIANT: a message is kept whole and exact, or refused with an error. Fields and roles that the store does not know, `null`, empty
 * lists and objects, the order of fields, every digit of a number and every character of a text come back as they were. No field name
 * is reserved: a message may have an `_id`, an `owner` or a `seq`.
 * INVARIANT: every method compares message ids and prompt ids exactly, as it compares keys (see {@link ThreadKey}).
 *
 * Every store must hold a message of 1 MB as JSON, and ids of up to 512 bytes in UTF-8. It may refuse longer ids, NUL or half of a
 * surrogate pair in an id or a text, and an empty id.
 */
export interface StoredMessage {
  /** Unique within its thread. The client makes the ids of prompts and of final answers (the response id). */
  id: string;
  /** The id of the prompt that this message belongs to. A prompt has its own id here. */
  promptId: string;
  /** The message in OpenAI's form, as the model receives it. */
  message: ChatCompletionMessageParam;
  /** How the answer ended that this message belongs to. Tool calls and results carry it, too. Prompts are always `complete`. */
  status: MessageStatus;
  /** When the message was made, in epoch milliseconds. For people to read: order never comes from it. */
  createdAt: number;
  /**
   * Any string. On an assistant message, the model's finish reason, if one arrived. On a prompt, `request_refused` records that the provider refused the
   * request with it: later requests leave it out until it is answered.
   */
  finishReason?: string | undefined;
  /** The tokens that an assistant message cost, if the model reported them. */
  usage?: CompletionUsage | undefined;
  /** On the last message of an answer, the attempt that made it. A cursor of another attempt does not fit. */
  attempt?: string | undefined;
}

/** The fields that {@link MessageStore.updateMessage} replaces. A field that is absent or `undefined` stays as it is. */
export type MessageChange = Partial<Omit<StoredMessage, "id" | "promptId">>;

/** Options of {@link MessageStore.listMessages}. */
export interface ListMessagesOptions {
  /** Return only so many of the newest messages, still oldest first. A positive integer. @default all */
  last?: number | undefined;
  /**
   * Read back only until the JSON of the messages has so many characters or bytes, whichever your store counts. It bounds the memory
   * of a read. A positive integer. @default no bound
   */
  maxCharacters?: number | undefined;
}

/** Options of {@link MessageStore.appendMessages}. */
export interface AppendMessagesOptions {
  /** The title of the thread if this append creates it. A store without threads ignores it. @default "" */
  title?: string | undefined;
  /**
   * The id of the prompt that the batch answers: the `promptId` of all its messages. The batch replaces what a failed attempt left.
   * `""` is an id like any other, not "none".
   */
  replacesAnswerTo?: string | undefined;
}

/** Keeps the messages of threads. A plain object from a factory. Its methods reject with the database's own error. */
export interface MessageStore {
  /**
   * Returns the messages of a thread, oldest first.
   *
   * INVARIANT: an unknown thread has an empty array, never an error.
   * INVARIANT: the order is that of appending, by the store's own sequence and never by a clock: clocks of two servers differ.
   * INVARIANT: all messages come back, however many and however large they are: the database's pages and limits never show.
   * INVARIANT: `last: n` returns the newest n, still oldest first, at a cost that does not grow with the thread.
   * INVARIANT: `maxCharacters: n` returns as many of the newest messages as it takes until their JSON together reaches n, each whole, at
   * least one and at most `last`. A store may return more of them. One that ignores the option is correct, but then a read of a thread
   * with large messages needs the memory for all that `last` allows.
   * INVARIANT: a reader sees each call of the others whole or not at all: a batch, a deletion, an update, an answer in the place of another.
   * INVARIANT: the returned values share nothing with the store or with other callers: changing them changes nothing stored.
   */
  listMessages(thread: ThreadKey, options?: ListMessagesOptions): Promise<StoredMessage[]>;

  /**
   * Adds messages at the end of a thread, creates the thread with its first message, and resolves to the ids that it stored, in any
   * order.
   *
   * INVARIANT: all or nothing. When it rejects, no message of the batch is stored, and none is removed.
   * INVARIANT: the batch stays contiguous and in order, even if other processes append at that moment.
   * INVARIANT: an id that is already in the thread, or is repeated in the batch, is left as it came first, and not returned. This holds
   * however long ago it was stored (but see `replacesAnswerTo`). A deleted id may be stored again.
   * INVARIANT: with `replacesAnswerTo`, all other messages with that prompt's id as `promptId` are removed, wherever they stand, and
   * the whole batch is stored, in one atomic step. Nothing is removed or stored, and `[]` is returned, if the prompt is not in the
   * thread, one of those messages is `complete`, or an id of the batch belongs to any other message of the thread. So a prompt is
   * answered once, and an answer never brings back what was deleted, even if others answer, or this call arrives late.
   * INVARIANT: once it resolves, the messages are as durable as the database makes them.
   * INVARIANT: the arguments stay as they are and are not kept: changing them later changes nothing stored.
   * INVARIANT: an empty batch stores, removes and creates nothing.
   */
  appendMessages(thread: ThreadKey, messages: readonly StoredMessage[], options?: AppendMessagesOptions): Promise<string[]>;

  /**
   * Replaces fields of one message in its place and resolves to whether the message was there. C1 saves form state with it.
   *
   * INVARIANT: a field of the change takes the place of the whole old one, `message` and `usage` included: nothing is merged, and `null`
   * is a value. Position, `id`, `promptId` and the fields not named stay as they were.
   * INVARIANT: a message that is there gives `true`, also if the change changes nothing.
   * INVARIANT: an unknown thread or id gives `false` and creates nothing.
   */
  updateMessage(thread: ThreadKey, id: string, change: MessageChange): Promise<boolean>;

  /**
   * Removes messages by id. The thread stays, even without messages. No activity of the thread.
   *
   * INVARIANT: all or nothing, also for 1,000 ids. Unknown ids are ignored, no ids remove nothing, and other threads and owners are
   * untouched. A message that is appended at the same moment and not named stays.
   */
  deleteMessages(thread: ThreadKey, ids: readonly string[]): Promise<void>;
}

/** The methods of a {@link MessageStore}. */
export const messageStoreMethods: readonly (keyof MessageStore)[] = ["listMessages", "appendMessages", "updateMessage", "deleteMessages"];

/** A thread as it is listed. */
export interface Thread {
  /** The thread's id. */
  threadId: string;
  /**
   * What the list shows: from the first prompt unless renamed.
   *
   * INVARIANT: a title is kept exactly. Every store must hold 1,000 characters; it may refuse NUL and half of a surrogate pair.
   */
  title: string;
  /** When the thread was made, in epoch milliseconds, by the clock of the server or of the database. */
  createdAt: number;
  /** When a message was last appended, in epoch milliseconds. For people to read: order never comes from it. */
  updatedAt: number;
}

/** Which page of threads {@link ThreadStore.listThreads} returns. */
export interface ThreadPage {
  /** How many threads: fewer only on the last page. A positive integer; every store can return 1,000. May differ from page to page. */
  limit: number;
  /** Where the page before ended: its `nextCursor`, from any instance. @default the first page */
  cursor?: string | undefined;
}

/** A page of threads. */
export interface ThreadList {
  /** The threads, latest activity first. */
  threads: Thread[];
  /** The cursor of the page after this one. Absent on the last page. At most 512 of `A-Z a-z 0-9 - _`: it survives a URL unencoded. */
  nextCursor?: string | undefined;
}

/** A {@link MessageStore} that also keeps the threads of each owner. */
export interface ThreadStore extends MessageStore {
  /**
   * Returns a page of an owner's threads, latest activity first.
   *
   * INVARIANT: activity is a creation, or an append that stores something, ordered by the store's own numbers and never by a clock.
   * Reads, renames, updates and deletions of messages are none.
   * INVARIANT: threads that were active at the same moment have one order, too, and keep it until one of them is active again.
   * INVARIANT: a walk over the pages, at any instance, meets every thread that stays untouched meanwhile exactly once.
   * INVARIANT: the last page has no `nextCursor`.
   * INVARIANT: a cursor is the same whatever other owners do, so it tells nothing of them: number the activities of each owner apart.
   * INVARIANT: a cursor that the store did not make rejects, or gives a page of this owner's threads; never another's.
   * INVARIANT: the cost of a page does not grow with the number of threads.
   */
  listThreads(owner: string, page: ThreadPage): Promise<ThreadList>;

  /** Returns one thread as it is listed, or `undefined` if this owner has no thread with this id. */
  getThread(thread: ThreadKey): Promise<Thread | undefined>;

  /**
   * Creates a thread without messages and returns it.
   *
   * INVARIANT: a thread that is there is left as it is and returned.
   * INVARIANT: a deleted thread is created as a new one: nothing of the old one comes back.
   */
  createThread(thread: ThreadKey, title: string): Promise<Thread>;

  /**
   * Changes the title and resolves to whether the thread was there.
   *
   * INVARIANT: a thread that is there gives `true`, also if it has this title already.
   * INVARIANT: an unknown thread gives `false` and is not created.
   */
  renameThread(thread: ThreadKey, title: string): Promise<boolean>;

  /**
   * Removes a thread with all its messages and resolves to whether it was there.
   *
   * INVARIANT: nothing of it is left, however many messages it has, and every other thread is untouched. An append at the same moment
   * comes before the deletion or makes the thread again with all of its batch: no half of a thread is left.
   */
  deleteThread(thread: ThreadKey): Promise<boolean>;

  /**
   * Removes all threads of an owner with all their messages. `""` is one owner, not all.
   *
   * INVARIANT: nothing of the owner is left, however many threads there are, and every other owner is untouched.
   */
  deleteOwner(owner: string): Promise<void>;
}

/** The methods that a {@link ThreadStore} adds. */
export const threadStoreMethods: readonly (keyof ThreadStore)[] = [
  "listThreads",
  "getThread",
  "createThread",
  "renameThread",
  "deleteThread",
  "deleteOwner",
];
