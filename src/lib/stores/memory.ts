/** Keeps threads in the memory of this process, for demos and tests. */
import { keyOf, type Thread, type ThreadKey, type ThreadStore } from "../core/store.ts";
import { resolveNumbers } from "../core/resolve-options.ts";
import { activityBelow, checkListOptions } from "./arguments.ts";
import { changeMessage, readMessage, writeBatch, type WrittenMessage } from "./message-json.ts";

/** The part of a limit that an owner can use before its own threads are the first to be evicted. */
const ownerShare = 1 / 10;

/**
 * Options of {@link createMemoryStore}. Beyond a limit, the store evicts whole threads, the longest unused first: those of an owner that uses
 * more than a tenth of the limit, then all others. A thread that can only grow at the cost of owners that use less is full: the append rejects.
 */
export interface MemoryStoreOptions {
  /** The most threads that the store keeps, of all owners together. An integer from 1 to 2147483647. @default 10_000 */
  maxThreads?: number | undefined;
  /**
   * The most characters (UTF-16 code units) that the store keeps: messages as JSON, ids and titles. A character needs one byte of
   * memory in Latin text, two in any other. An integer from 1 to 2147483647. @default 50_000_000
   */
  maxCharacters?: number | undefined;
}

/** An owner with threads. */
interface Owner {
  /** By ascending `activity`: an active thread moves to the end, a page is a slice. */
  listed: KeptThread[];
  characters: number;
  /** The number of the latest activity. Its own: a cursor must not reveal what other owners do. */
  activity: number;
}

/** A stored thread. Its messages are JSON text, so nothing is shared with the caller. */
interface KeptThread {
  key: string;
  ownerId: string;
  owner: Owner;
  thread: Thread;
  messages: WrittenMessage[];
  byId: Map<string, WrittenMessage>;
  /** The messages that answer a prompt, by the id of the prompt. */
  answers?: Map<string, WrittenMessage[]>;
  /** The number of its latest use, among the uses of all threads. */
  use: number;
  /** The number of its latest activity. */
  activity: number;
  characters: number;
}

/**
 * Creates a store that keeps threads in the memory of this process, within limits. They are gone when the process ends, and other
 * processes do not see them.
 *
 * Reading a thread by its id and changing it count as a use; listing an owner's threads does not. The thread in use is never evicted.
 * A thread that would have to evict owners within their share rejects instead. Without such owners, a single thread may be larger than
 * `maxCharacters` until another one is used.
 *
 * @throws TypeError for an unknown option, or a limit that is not an integer from 1 to 2147483647.
 *
 * @example
 * const store = createMemoryStore({ maxThreads: 1_000 });
 */
export function createMemoryStore(options: MemoryStoreOptions = {}): ThreadStore {
  const { maxThreads, maxCharacters } = resolveNumbers("createMemoryStore", options, { maxThreads: 10_000, maxCharacters: 50_000_000 });

  const threads = new Map<string, KeptThread>();
  const owners = new Map<string, Owner>();
  // Longest unused first. Each use has a new number: V8 gets slow if the same key leaves a map and enters it again and again.
  const byUse = new Map<number, KeptThread>();
  let uses = 0;
  let characters = 0;

  function find(key: ThreadKey): KeptThread | undefined {
    const kept = threads.get(keyOf(key));
    if (kept) use(kept);
    return kept;
  }

  function use(kept: KeptThread): void {
    byUse.delete(kept.use);
    byUse.set((kept.use = ++uses), kept);
  }

  function create(threadKey: ThreadKey, title: string): KeptThread {
    const { owner: ownerId, threadId } = threadKey;
    const key = keyOf(threadKey);
    const owner = owners.get(ownerId) ?? { listed: [], characters: 0, activity: 0 };
    const kept: KeptThread = {
      key,
      ownerId,
      owner,
      thread: { threadId, title, createdAt: Date.now(), updatedAt: 0 },
      messages: [],
      byId: new Map(),
      use: 0,
      activity: Infinity,
      characters: 0,
    };
    threads.set(key, kept);
    owners.set(ownerId, owner);
    markActive(kept);
    use(kept);
    resize(kept, ownerId.length + threadId.length + title.length);
    return kept;
  }

  function remove(kept: KeptThread): void {
    const { key, ownerId, owner, activity } = kept;
    threads.delete(key);
    owner.listed.splice(firstFrom(owner.listed, activity), 1);
    if (owner.listed.length === 0) owners.delete(ownerId);
    byUse.delete(kept.use);
    owner.characters -= kept.characters;
    characters -= kept.characters;
  }

  function markActive(kept: KeptThread): void {
    const { owner, activity } = kept;
    owner.listed.splice(firstFrom(owner.listed, activity), 1);
    owner.listed.push(kept);
    kept.activity = ++owner.activity;
    kept.thread.updatedAt = Date.now();
  }

  /** Adds the growth of the thread in use to the totals, and evicts other threads if that is too much. */
  function resize(kept: KeptThread, growth: number): void {
    kept.characters += growth;
    kept.owner.characters += growth;
    characters += growth;
    while (byUse.size > maxThreads || characters > maxCharacters) {
      const evicted = findLongestUnused(kept);
      if (!evicted) break;
      remove(evicted);
    }
  }

  /** Throws if a thread, with what is added to it, leaves no room for the owners that use no more than their share. */
  function checkRoom(ownerId: string, kept: KeptThread | undefined, added: number): void {
    if (characters + added <= maxCharacters) return;
    const share = maxCharacters * ownerShare;
    const own = owners.get(ownerId);
    if ((own?.characters ?? 0) + added <= share) return;
    let others = 0;
    for (const owner of owners.values()) if (owner !== own && owner.characters <= share) others += owner.characters;
    if (others === 0 || others + (kept?.characters ?? 0) + added <= maxCharacters) return;
    throw new Error("The thread is too large for the memory store. Raise maxCharacters, or use another store.");
  }

  /** Returns the thread to evict: of an owner that uses more than its share, if there is one. Never the thread in use. */
  function findLongestUnused(inUse: KeptThread): KeptThread | undefined {
    let oldest: KeptThread | undefined;
    for (const kept of byUse.values()) {
      if (kept === inUse) continue;
      oldest ??= kept;
      if (kept.owner.characters > maxCharacters * ownerShare || kept.owner.listed.length > maxThreads * ownerShare) return kept;
    }
    return oldest;
  }

  function removeMessages(kept: KeptThread, messages: ReadonlySet<WrittenMessage>): void {
    if (messages.size === 0) return; // most answers replace nothing
    kept.messages = kept.messages.filter((message) => !messages.has(message));
    kept.answers = Map.groupBy(kept.messages.filter(isAnswer), ({ promptId }) => promptId);
    for (const message of messages) {
      kept.byId.delete(message.id);
      resize(kept, -message.body.length);
    }
  }

  // No method awaits anything. That makes each one atomic.
  return {
    async listMessages(key, options = {}) {
      const { last, maxCharacters } = checkListOptions(options);
      const messages = find(key)?.messages ?? [];
      const end = Math.max(0, messages.length - last);
      let start = messages.length;
      for (let read = 0; start > end && read < maxCharacters;) read += messages[--start]!.body.length;
      return messages.slice(start).map(({ body }) => readMessage(body));
    },

    async appendMessages(key, messages, { title = "", replacesAnswerTo } = {}) {
      const given = writeBatch(messages);
      const found = find(key);
      const broken = new Set(replacesAnswerTo === undefined ? [] : found?.answers?.get(replacesAnswerTo));
      const batch = given.filter(({ id }) => {
        const there = found?.byId.get(id);
        return !there || broken.has(there);
      });
      if (batch.length === 0) return [];
      if (replacesAnswerTo !== undefined) {
        const isWhole = [...broken].some(({ isComplete }) => isComplete);
        if (!found?.byId.has(replacesAnswerTo) || isWhole || batch.length < given.length) return [];
      }
      checkRoom(key.owner, found, sumLengths(batch) - sumLengths([...broken]));
      if (found) removeMessages(found, broken);

      const kept = found ?? create(key, title);
      markActive(kept);
      for (const message of batch) {
        if (isAnswer(message)) {
          const turn = kept.answers?.get(message.promptId);
          if (turn) turn.push(message);
          else (kept.answers ??= new Map()).set(message.promptId, [message]);
        }
        kept.byId.set(message.id, message);
        // A new array, not a push: an array that has grown reserves room for 16 more, which costs memory in short threads.
        if (kept.messages.length === 0) kept.messages = [message];
        else kept.messages.push(message);
        resize(kept, message.body.length);
      }
      return batch.map(({ id }) => id);
    },

    async updateMessage(key, id, change) {
      const kept = find(key);
      const message = kept?.byId.get(id);
      if (!kept || !message) return false;
      const changed = changeMessage(message.body, change);
      resize(kept, changed.body.length - message.body.length);
      Object.assign(message, changed);
      return true;
    },

    async deleteMessages(key, ids) {
      const kept = find(key);
      if (kept) removeMessages(kept, new Set(ids.flatMap((id) => kept.byId.get(id) ?? [])));
    },

    async listThreads(owner, page) {
      const below = activityBelow(page);
      const { listed } = owners.get(owner) ?? { listed: [] };
      const end = firstFrom(listed, below);
      const start = Math.max(0, end - page.limit);
      return {
        threads: listed
          .slice(start, end)
          .reverse()
          .map(({ thread }) => ({ ...thread })),
        ...(start > 0 && { nextCursor: String(listed[start]!.activity) }),
      };
    },

    async getThread(key) {
      const kept = find(key);
      return kept && { ...kept.thread };
    },

    async createThread(key, title) {
      return { ...(find(key) ?? create(key, title)).thread };
    },

    async renameThread(key, title) {
      const kept = find(key);
      if (!kept) return false;
      resize(kept, title.length - kept.thread.title.length);
      kept.thread.title = title;
      return true;
    },

    async deleteThread(key) {
      const kept = find(key);
      if (kept) remove(kept);
      return kept !== undefined;
    },

    async deleteOwner(owner) {
      owners.get(owner)?.listed.toReversed().forEach(remove);
    },
  };
}

const sumLengths = (messages: readonly WrittenMessage[]) => messages.reduce((sum, { body }) => sum + body.length, 0);

const isAnswer = ({ id, promptId }: WrittenMessage) => promptId !== id;

/** Returns the index of the first thread whose activity is not before the given one. */
function firstFrom(listed: readonly KeptThread[], activity: number): number {
  let low = 0;
  let high = listed.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (listed[middle]!.activity < activity) low = middle + 1;
    else high = middle;
  }
  return low;
}
