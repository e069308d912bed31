/** Stores that show a reader half of a change, or leave half of a thread where a deletion meets another call. */
import type { ThreadKey } from "../../src/index.ts";
import { fault, roundTrip, type BrokenStore } from "./broken-stores.ts";
import { type KeptThread, copyOf, find, listed, make, nextActivity, pageOf, threadsOf } from "./simple-store.ts";

const nameOf = ({ owner, threadId }: ThreadKey) => JSON.stringify([owner, threadId]);

export const brokenDeletions: BrokenStore[] = [
  fault(
    "MySQL: updates by REPLACE, which deletes and inserts",
    "readers",
    "a reader always finds a message that is updated",
    (good, data) => ({
      async updateMessage(key, id, change) {
        const copy = copyOf(change);
        const thread = find(data, key);
        const index = thread?.messages.findIndex((message) => message.id === id) ?? -1;
        if (!thread || index < 0) return false;
        const [old] = thread.messages.splice(index, 1);
        await roundTrip();
        thread.messages.splice(index, 0, { ...old!, ...copy });
        return true;
      },
    }),
  ),
  fault(
    "makes the thread in a transaction of its own",
    "readers",
    "a reader who finds a thread finds its first messages",
    (good, data) => ({
      async appendMessages(key, messages, options) {
        const batch = copyOf(messages);
        if (!find(data, key) && options?.replacesAnswerTo === undefined && batch.length > 0) {
          make(data, key, options?.title ?? "");
          await roundTrip();
        }
        return good.appendMessages(key, batch, options);
      },
    }),
  ),
  fault(
    "deletes messages, and the thread a moment later",
    "readers",
    "a reader who finds a thread finds its first messages",
    (good, data) => ({
      async deleteThread(key) {
        const thread = find(data, key);
        if (thread) thread.messages = [];
        await roundTrip();
        return good.deleteThread(key);
      },
    }),
  ),
  fault(
    "moves a thread in the list by removing it",
    "pages",
    "a reader of the list always finds a thread that is active or renamed",
    (good, data) => {
      const hidden = new WeakSet<KeptThread>();
      return {
        async appendMessages(key, messages, options) {
          const batch = copyOf(messages);
          const thread = find(data, key);
          if (thread) hidden.add(thread);
          await roundTrip();
          if (thread) hidden.delete(thread);
          return good.appendMessages(key, batch, options);
        },
        listThreads: async (owner, { limit, cursor }) =>
          pageOf(
            threadsOf(data, owner).filter((thread) => !hidden.has(thread)),
            limit,
            cursor,
          ),
      };
    },
  ),
  fault("reads the ids of a page, then each thread", "pages", "a list read during deletions holds threads alone", (good, data) => ({
    async listThreads(owner, page) {
      const { threads, nextCursor } = await good.listThreads(owner, page);
      await roundTrip();
      const found = threads.map(({ threadId }) => find(data, { owner, threadId })).map((thread) => thread && listed(thread));
      return { threads: found as never, ...(nextCursor && { nextCursor }) };
    },
  })),
  fault("gives activities without a lock", "pages", "threads active at once are all met by a walk in pages of 1", (good, data) => ({
    async appendMessages(key, messages, options) {
      const batch = copyOf(messages);
      const activity = nextActivity(data, key.owner);
      await roundTrip();
      const ids = await good.appendMessages(key, batch, options);
      const thread = find(data, key);
      if (thread && ids.length > 0) thread.activity = activity;
      return ids;
    },
  })),
  fault(
    "deletes an owner's list of threads, then the messages that were there before",
    "deleteOwner",
    "an owner deleted during appends has whole threads or none",
    (good, data) => {
      const gone = new WeakSet<KeptThread>();
      const isThere = (thread: KeptThread | undefined) => thread !== undefined && !gone.has(thread);
      return {
        async deleteOwner(owner) {
          const known = new Set(threadsOf(data, owner).flatMap(({ messages }) => messages));
          await roundTrip();
          for (const thread of threadsOf(data, owner)) {
            gone.add(thread);
            thread.messages = thread.messages.filter((message) => !known.has(message));
          }
        },
        getThread: async (key) => (isThere(find(data, key)) ? good.getThread(key) : undefined),
        listThreads: async (owner, { limit, cursor }) => pageOf(threadsOf(data, owner).filter(isThere), limit, cursor),
      };
    },
  ),
  fault(
    "writes all owners back without the one",
    "deleteOwner",
    "an owner deleted during appends has whole threads or none",
    (good, data) => ({
      async deleteOwner(owner) {
        const others = data.threads.filter((thread) => thread.owner !== owner);
        await roundTrip();
        data.threads = others;
      },
    }),
  ),
  fault(
    "brings a deleted thread back when it creates it",
    "deleteThread",
    "a creation and a deletion at once leave nothing of the old thread",
    (good, data) => ({
      async createThread(key, title) {
        const found = find(data, key);
        await roundTrip();
        if (found && !data.threads.includes(found)) data.threads.push(found);
        return good.createThread(key, title);
      },
    }),
  ),
  fault(
    "creates a thread over one that came in between",
    "createOnce",
    "a creation that meets a first message makes one thread of both",
    (good, data) => ({
      async createThread(key, title) {
        const found = find(data, key);
        await roundTrip();
        if (found) return listed(found);
        data.threads = data.threads.filter((thread) => thread !== find(data, key));
        return listed(make(data, key, title));
      },
    }),
  ),
  fault("undeletes a thread when it is created", "deleteThread", "a deleted thread is created as a new one", (good, data) => {
    const bin = new Map<string, KeptThread>();
    return {
      async deleteThread(key) {
        const found = find(data, key);
        if (found) bin.set(nameOf(key), found);
        return good.deleteThread(key);
      },
      async createThread(key, title) {
        const old = bin.get(nameOf(key));
        if (!old || find(data, key)) return good.createThread(key, title);
        data.threads.push(old);
        return listed(old);
      },
    };
  }),
  fault("counts deleted messages, not threads", "deleteThread", "a deleted thread is created as a new one", (good, data) => ({
    async deleteThread(key) {
      const count = find(data, key)?.messages.length ?? 0;
      await good.deleteThread(key);
      return count > 0;
    },
  })),
];
