/** Stores whose threads are not kept, or not listed, as promised. */
import type { Thread, ThreadStore } from "../../src/index.ts";
import { broken, roundTrip, type BrokenStore } from "./broken-stores.ts";
import { copyOf, find, listed, make, pageOf, threadsOf, type KeptThread } from "./simple-store.ts";

const reading = (good: ThreadStore, change: (thread: Thread) => Partial<Thread>): Partial<ThreadStore> => {
  const changed = (thread: Thread): Thread => ({ ...thread, ...change(thread) });
  return {
    async listThreads(owner, page) {
      const list = await good.listThreads(owner, page);
      return { ...list, threads: list.threads.map(changed) };
    },
    async getThread(key) {
      const thread = await good.getThread(key);
      return thread && changed(thread);
    },
    createThread: async (key, title) => changed(await good.createThread(key, title)),
  };
};

export const brokenThreads: BrokenStore[] = [
  broken("knows only the threads that were created", "threadOfMessages", (good) => {
    const created = new Set<string>();
    return {
      async createThread(key, title) {
        created.add(JSON.stringify([key.owner, key.threadId]));
        return good.createThread(key, title);
      },
      getThread: async (key) => (created.has(JSON.stringify([key.owner, key.threadId])) ? good.getThread(key) : undefined),
      async listThreads(owner, page) {
        const list = await good.listThreads(owner, page);
        return { ...list, threads: list.threads.filter(({ threadId }) => created.has(JSON.stringify([owner, threadId]))) };
      },
    };
  }),
  broken("forgets a thread with its last message", "threadOfMessages", (good, data) => ({
    async deleteMessages(key, ids) {
      await good.deleteMessages(key, ids);
      if (find(data, key)?.messages.length === 0) await good.deleteThread(key);
    },
  })),
  broken("creates the thread before it looks for the required message", "threadOfMessages", (good) => ({
    async appendMessages(key, messages, options) {
      if (messages.length > 0) await good.createThread(key, options?.title ?? "");
      return good.appendMessages(key, messages, options);
    },
  })),
  broken("creates the thread that it reads", "threadOfMessages", (good, data) => ({
    async listMessages(key, options) {
      if (!find(data, key)) make(data, key, "");
      return good.listMessages(key, options);
    },
  })),
  broken("gives the title of each append", "title", (good) => ({
    async appendMessages(key, messages, options) {
      const ids = await good.appendMessages(key, messages, options);
      if (ids.length > 0 && options?.title !== undefined) await good.renameThread(key, options.title);
      return ids;
    },
  })),
  broken("fills in an empty title", "title", (good, data) => ({
    async appendMessages(key, messages, options) {
      const ids = await good.appendMessages(key, messages, options);
      if (ids.length > 0 && find(data, key)?.title === "") await good.renameThread(key, options?.title ?? "");
      return ids;
    },
  })),
  broken("ignores the title of an append", "title", (good) => ({
    appendMessages: (key, messages, options) => good.appendMessages(key, messages, { ...options, title: undefined }),
  })),
  broken("makes up a title", "title", (good) => ({
    appendMessages: (key, messages, options) => good.appendMessages(key, messages, { ...options, title: options?.title ?? "New chat" }),
  })),
  broken("cuts titles off", "titles", (good) => reading(good, ({ title }) => ({ title: title.slice(0, 255) }))),
  broken("says times in seconds", "threadTimes", (good) =>
    reading(good, ({ createdAt, updatedAt }) => ({ createdAt: Math.floor(createdAt / 1_000), updatedAt: Math.floor(updatedAt / 1_000) })),
  ),
  broken("says times as text", "threadTimes", (good) =>
    reading(good, ({ createdAt }) => ({ createdAt: JSON.parse(JSON.stringify(new Date(createdAt))) })),
  ),
  broken("never moves updatedAt", "threadTimes", (good) => reading(good, ({ createdAt }) => ({ updatedAt: createdAt }))),
  broken("moves updatedAt with a rename", "threadTimes", (good, data) => ({
    async renameThread(key, title) {
      const thread = find(data, key);
      if (thread) thread.updatedAt = Date.now();
      return good.renameThread(key, title);
    },
  })),
  broken("takes the time of the first message", "threadTimes", (good, data) =>
    reading(good, ({ threadId }) => ({
      createdAt: data.threads.find((thread) => thread.threadId === threadId)?.messages[0]?.createdAt ?? Date.now(),
    })),
  ),
  broken("gives a thread to any owner", "getThread", (good, data) => ({
    getThread: async ({ threadId }) => {
      const thread = data.threads.find((thread) => thread.threadId === threadId);
      return thread && listed(thread);
    },
  })),
  broken("gives null for an unknown thread", "getThread", (good) => ({
    getThread: async (key) => (await good.getThread(key)) ?? JSON.parse("null"),
  })),
  broken("hands out its own threads", "copiesOut", (good, data) => ({
    getThread: async (key) => find(data, key),
  })),
  broken("creates over a thread's title", "createOnce", (good, data) => ({
    async createThread(key, title) {
      await good.createThread(key, title);
      await good.renameThread(key, title);
      return listed(find(data, key)!);
    },
  })),
  broken("creates over a thread", "createOnce", (good) => ({
    async createThread(key, title) {
      await good.deleteThread(key);
      return good.createThread(key, title);
    },
  })),
  broken("rejects the creation of a thread that is there", "createOnce", (good, data) => ({
    async createThread(key, title) {
      if (find(data, key)) throw new Error("UNIQUE constraint failed");
      return good.createThread(key, title);
    },
  })),
  broken("looks for a thread a round trip before it creates it", "createOnce", (good, data) => ({
    async createThread(key, title) {
      const found = find(data, key);
      await roundTrip();
      return listed(found ?? make(data, key, title));
    },
  })),
  broken("renames an unknown thread", "rename", (good, data) => ({
    async renameThread(key, title) {
      const found = find(data, key) !== undefined;
      await good.createThread(key, title);
      await good.renameThread(key, title);
      return found;
    },
  })),
  broken("says it renamed an unknown thread", "rename", (good) => ({
    renameThread: async (key, title) => (await good.renameThread(key, title)) || true,
  })),
  broken("does not rename to an empty title", "rename", (good) => ({
    renameThread: async (key, title) => good.renameThread(key, title || "Untitled"),
  })),
  broken("reads a thread, then writes it renamed", "rename", (good, data) => ({
    async renameThread(key, title) {
      const thread = copyOf(find(data, key) ?? null);
      await roundTrip();
      const index = data.threads.findIndex(({ owner, threadId }) => owner === key.owner && threadId === key.threadId);
      if (thread && index >= 0) data.threads[index] = { ...thread, title };
      return thread !== null;
    },
  })),
  broken("leaves a deleted thread's messages", "deleteThread", (good, data) => {
    const left = new Map<string, KeptThread["messages"]>();
    return {
      async deleteThread(key) {
        left.set(JSON.stringify([key.owner, key.threadId]), find(data, key)?.messages ?? []);
        return good.deleteThread(key);
      },
      async listMessages(key, options) {
        return find(data, key) ? good.listMessages(key, options) : copyOf(left.get(JSON.stringify([key.owner, key.threadId])) ?? []);
      },
    };
  }),
  broken("brings a deleted thread back with its messages", "deleteThread", (good, data) => {
    const bin = new Map<string, KeptThread["messages"]>();
    return {
      async deleteThread(key) {
        bin.set(JSON.stringify([key.owner, key.threadId]), find(data, key)?.messages ?? []);
        return good.deleteThread(key);
      },
      async appendMessages(key, messages, options) {
        const ids = await good.appendMessages(key, messages, options);
        find(data, key)?.messages.unshift(...(bin.get(JSON.stringify([key.owner, key.threadId])) ?? []));
        return ids;
      },
    };
  }),
  broken("deletes a thread of any owner", "deleteThread", (good, data) => ({
    async deleteThread({ threadId }) {
      const before = data.threads.length;
      data.threads = data.threads.filter((thread) => thread.threadId !== threadId);
      return data.threads.length < before;
    },
  })),
  broken("deletes threads by a prefix", "deleteThread", (good, data) => ({
    async deleteThread(key) {
      const found = find(data, key);
      if (found) data.threads = data.threads.filter(({ owner, threadId }) => owner !== key.owner || !threadId.startsWith(key.threadId));
      return found !== undefined;
    },
  })),
  broken("says it deleted an unknown thread", "deleteThread", (good) => ({
    deleteThread: async (key) => (await good.deleteThread(key)) || true,
  })),
  broken("deletes a thread's messages, then the thread", "deleteThread", (good, data) => {
    const gone = new WeakSet<KeptThread>(); // its row is, but messages that came in between are not
    const isThere = (thread: KeptThread | undefined) => thread !== undefined && !gone.has(thread);
    return {
      async deleteThread(key) {
        const thread = find(data, key);
        if (thread) thread.messages = [];
        await roundTrip();
        if (thread) gone.add(thread);
        return thread !== undefined;
      },
      getThread: async (key) => (isThere(find(data, key)) ? good.getThread(key) : undefined),
      listThreads: async (owner, { limit, cursor }) => pageOf(threadsOf(data, owner).filter(isThere), limit, cursor),
    };
  }),
  broken("writes back what it updates, also where it is gone", "deleteThread", (good, data) => ({
    async updateMessage(key, id, change) {
      const thread = find(data, key);
      const updated = await good.updateMessage(key, id, change);
      await roundTrip();
      if (thread && !data.threads.includes(thread)) data.threads.push(thread);
      return updated;
    },
  })),
  broken("deletes owners by a prefix", "deleteOwner", (good, data) => ({
    async deleteOwner(owner) {
      data.threads = data.threads.filter((thread) => !thread.owner.startsWith(owner));
    },
  })),
  broken("deletes owners by a pattern", "deleteOwner", (good, data) => ({
    async deleteOwner(owner) {
      const pattern = new RegExp(`^${owner}$`.replaceAll("*", ".*"), "i");
      data.threads = data.threads.filter((thread) => !pattern.test(thread.owner));
    },
  })),
  broken("deletes an owner's threads that have messages", "deleteOwner", (good, data) => ({
    async deleteOwner(owner) {
      data.threads = data.threads.filter((thread) => thread.owner !== owner || thread.messages.length === 0);
    },
  })),
  broken("deletes an owner's first page", "deleteOwner", (good) => ({
    async deleteOwner(owner) {
      const { threads } = await good.listThreads(owner, { limit: 3 });
      for (const { threadId } of threads) await good.deleteThread({ owner, threadId });
    },
  })),
  broken("deletes everything with any owner", "deleteOwner", (good, data) => ({
    async deleteOwner() {
      data.threads = [];
    },
  })),
];
