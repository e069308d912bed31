/** Threads in this process's memory: for demos and tests, and the reference of the store contract. */
import type { Thread, ThreadKey, ThreadStore } from "../store.ts";
import { withDefaults } from "../options-check.ts";
import { activityBelow, checkCount } from "./arguments.ts";
import { changeMessage, readMessage, writeBatch, type WrittenMessage } from "./message-json.ts";

/** Options of {@link createMemoryStore}. A bound that is passed evicts whole threads, the longest unused first. */
export interface MemoryStoreOptions {
  /** How many threads are kept, of all owners together. A whole number from 1 to 2147483647. @default 10_000 */
  maxThreads?: number | undefined;
  /**
   * How many characters (UTF-16 units) are kept in all: messages as JSON, ids and titles. A character takes one byte
   * of memory in Latin text and two in any other. A whole number from 1 to 2147483647. @default 50_000_000
   */
  maxCharacters?: number | undefined;
}

/** What is kept of one thread. Messages are kept as JSON text, so nothing is ever shared with the caller. */
interface KeptThread {
  owner: string;
  thread: Thread;
  messages: WrittenMessage[];
  byId: Map<string, WrittenMessage>;
  /** What answers a prompt, by its id. */
  answers?: Map<string, WrittenMessage[]>;
  /** Place among the uses of all threads. */
  use: number;
  /** Place among the activities. */
  activity: number;
  characters: number;
}

interface KeptOwner {
  threads: Map<string, KeptThread>;
  /** The same threads by ascending `activity`: an activity goes to the end, a page is a slice. */
  byActivity: KeptThread[];
}

/**
 * A store that keeps threads in this process's memory, within bounds. They are gone when the process ends, and other
 * processes do not see them.
 *
 * A thread is used when it is read by its id, or changed; listing an owner's threads uses none. The thread that is being
 * used is never evicted, so a single thread larger than `maxCharacters` stays until another one is used.
 *
 * @throws TypeError for an unknown option or a bound that is no whole number from 1.
 */
export function createMemoryStore(options: MemoryStoreOptions = {}): ThreadStore {
  const { maxThreads, maxCharacters } = withDefaults(options, { maxThreads: 10_000, maxCharacters: 50_000_000 }, {}, "createMemoryStore.");

  const owners = new Map<string, KeptOwner>();
  // Longest unused first, each under a new number: a set that one thread leaves and enters again and again gets slow in V8.
  const byUse = new Map<number, KeptThread>();
  let uses = 0;
  let characters = 0;

  function find({ owner, threadId }: ThreadKey): KeptThread | undefined {
    const kept = owners.get(owner)?.threads.get(threadId);
    if (kept) use(kept);
    return kept;
  }

  function use(kept: KeptThread): void {
    byUse.delete(kept.use);
    byUse.set((kept.use = ++uses), kept);
  }

  function create({ owner, threadId }: ThreadKey, title: string): KeptThread {
    const now = Date.now();
    const thread = { threadId, title, createdAt: now, updatedAt: now };
    const kept: KeptThread = { owner, thread, messages: [], byId: new Map(), use: 0, activity: 0, characters: 0 };
    let keptOwner = owners.get(owner);
    if (!keptOwner) owners.set(owner, (keptOwner = { threads: new Map(), byActivity: [] }));
    keptOwner.threads.set(threadId, kept);
    keptOwner.byActivity.push(kept);
    kept.activity = ++uses;
    use(kept);
    resize(kept, owner.length + threadId.length + title.length);
    return kept;
  }

  function remove(kept: KeptThread): void {
    const { threads, byActivity } = owners.get(kept.owner)!;
    threads.delete(kept.thread.threadId);
    byActivity.splice(firstFrom(byActivity, kept.activity), 1);
    if (threads.size === 0) owners.delete(kept.owner);
    byUse.delete(kept.use);
    characters -= kept.characters;
  }

  function markActive(kept: KeptThread): void {
    const { byActivity } = owners.get(kept.owner)!;
    byActivity.splice(firstFrom(byActivity, kept.activity), 1);
    byActivity.push(kept);
    kept.activity = ++uses;
    kept.thread.updatedAt = Date.now();
  }

  /** Counts what the thread in use grew by, and makes room for it. */
  function resize(kept: KeptThread, growth: number): void {
    kept.characters += growth;
    characters += growth;
    for (const oldest of byUse.values()) {
      if (oldest === kept || (byUse.size <= maxThreads && characters <= maxCharacters)) break;
      remove(oldest);
    }
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

  // Each method runs to its end without awaiting: that is what makes it atomic.
  return {
    async listMessages(key, { last } = {}) {
      if (last !== undefined) checkCount("last", last);
      const messages = find(key)?.messages ?? [];
      return (last === undefined ? messages : messages.slice(-last)).map(({ body }) => readMessage(body));
    },

    async appendMessages(key, messages, { title = "", answers } = {}) {
      const given = writeBatch(messages);
      if (given.length === 0) return [];
      const found = find(key);
      let batch = given;
      if (answers === undefined) batch = given.filter(({ id }) => !found?.byId.has(id));
      else {
        if (!found?.byId.has(answers)) return [];
        const broken = new Set(found.answers?.get(answers));
        const isTaken = ({ id }: WrittenMessage) => found.byId.has(id) && !broken.has(found.byId.get(id)!);
        if ([...broken].some(({ isComplete }) => isComplete) || given.some(isTaken)) return [];
        removeMessages(found, broken);
      }
      if (batch.length === 0) return [];

      const kept = found ?? create(key, title);
      let growth = 0;
      for (const message of batch) {
        if (isAnswer(message)) {
          const turn = kept.answers?.get(message.promptId);
          if (turn) turn.push(message);
          else (kept.answers ??= new Map()).set(message.promptId, [message]);
        }
        kept.byId.set(message.id, message);
        // Of just the length it needs at first: an array that has grown has room for 16 more.
        if (kept.messages.length === 0) kept.messages = [message];
        else kept.messages.push(message);
        growth += message.body.length;
      }
      markActive(kept);
      resize(kept, growth);
      return batch.map(({ id }) => id);
    },

    async updateMessage(key, id, change) {
      const kept = find(key);
      const message = kept?.byId.get(id);
      if (!kept || !message) return false;
      const before = message.body.length;
      Object.assign(message, changeMessage(message.body, change));
      resize(kept, message.body.length - before);
      return true;
    },

    async deleteMessages(key, ids) {
      const kept = find(key);
      if (!kept) return;
      const messages = new Set(ids.map((id) => kept.byId.get(id)));
      messages.delete(undefined);
      removeMessages(kept, messages as Set<WrittenMessage>);
    },

    async listThreads(owner, page) {
      const below = activityBelow(page);
      const byActivity = owners.get(owner)?.byActivity ?? [];
      const end = firstFrom(byActivity, below);
      const start = Math.max(0, end - page.limit);
      const listed = byActivity.slice(start, end).reverse();
      return {
        threads: listed.map(({ thread }) => ({ ...thread })),
        ...(start > 0 && { nextCursor: String(byActivity[start]!.activity) }),
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
      const growth = title.length - kept.thread.title.length;
      kept.thread.title = title;
      resize(kept, growth);
      return true;
    },

    async deleteThread(key) {
      const kept = find(key);
      if (kept) remove(kept);
      return kept !== undefined;
    },

    async deleteOwner(owner) {
      const byActivity = owners.get(owner)?.byActivity ?? [];
      for (let last; (last = byActivity.at(-1));) remove(last);
    },
  };
}

const isAnswer = ({ id, promptId }: WrittenMessage) => promptId !== id;

/** Index of the first thread whose activity is not before the given one. */
function firstFrom(byActivity: readonly KeptThread[], activity: number): number {
  let low = 0;
  let high = byActivity.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (byActivity[middle]!.activity < activity) low = middle + 1;
    else high = middle;
  }
  return low;
}
