/** Stores with a page, a limit or a window that nobody sees until a thread is long. */
import type { ThreadKey } from "../../src/index.ts";
import { fault, roundTrip, type BrokenStore } from "./broken-stores.ts";
import { type KeptThread, copyOf, find, make, nextActivity, threadsOf } from "./simple-store.ts";

const largeBatch = "1,000 messages in one batch are stored as they came";
const longList = "the last 1,100 of 1,200 messages are given";
const largeThread = "a thread of 18 MB is read whole";
const deletedThread = "a deleted thread of 1,200 messages comes back empty";
const deletedOwner = "an owner of 1,050 threads is deleted whole";
const longWalk = "a walk over 300 threads meets each once";

const nameOf = ({ owner, threadId }: ThreadKey) => JSON.stringify([owner, threadId]);

export const brokenSizes: BrokenStore[] = [
  fault("SQLite: refuses more than 999 values", "appended", largeBatch, (good) => ({
    async appendMessages(key, messages, options) {
      if (messages.length > 999) throw new Error("too many SQL variables");
      return good.appendMessages(key, messages, options);
    },
  })),
  fault("DynamoDB: stores the first 100 of a batch", "appended", largeBatch, (good) => ({
    appendMessages: (key, messages, options) => good.appendMessages(key, messages.slice(0, 100), options),
  })),
  fault("returns the first 1,000 ids of a page", "appended", largeBatch, (good) => ({
    appendMessages: async (key, messages, options) => (await good.appendMessages(key, messages, options)).slice(0, 500),
  })),
  fault("D1: stores a batch in pieces of 100", "readers", "a reader sees a large batch whole or not at all", (good) => ({
    async appendMessages(key, messages, options) {
      if (messages.length <= 100 || options?.replacesAnswerTo !== undefined) return good.appendMessages(key, messages, options);
      const ids: string[] = [];
      for (let from = 0; from < messages.length; from += 100) {
        ids.push(...(await good.appendMessages(key, messages.slice(from, from + 100), options)));
        await roundTrip();
      }
      return ids;
    },
  })),
  fault("DynamoDB: deletes in pieces of 25", "readers", "a reader sees a deletion of 600 messages whole or not at all", (good) => ({
    async deleteMessages(key, ids) {
      for (let from = 0; from < ids.length; from += 25) {
        await good.deleteMessages(key, ids.slice(from, from + 25));
        await roundTrip();
      }
    },
  })),
  fault(
    "Firestore: replaces an answer in pieces of 500",
    "readers",
    "a reader sees one answer of 600 messages or the other",
    (good, data) => ({
      async appendMessages(key, messages, options) {
        const thread = find(data, key);
        if (options?.replacesAnswerTo !== undefined && messages.length > 500 && thread) {
          const isOfAnswer = ({ id, promptId }: { id: string; promptId: string }) =>
            promptId === options.replacesAnswerTo && id !== promptId;
          const removed = new Set(thread.messages.filter(isOfAnswer).slice(0, 500));
          thread.messages = thread.messages.filter((message) => !removed.has(message));
          await roundTrip();
        }
        return good.appendMessages(key, messages, options);
      },
    }),
  ),
  fault("reads a thread in pages of 500", "readers", "a reader sees one answer of 600 messages or the other", (good, data) => ({
    async listMessages(key, options) {
      const first = copyOf(find(data, key)?.messages.slice(0, 500) ?? []);
      if (first.length < 500 || options?.last) return good.listMessages(key, options);
      await roundTrip();
      return [...first, ...(await good.listMessages(key)).slice(500)];
    },
  })),
  fault("gives at most the last 1,000", "last", longList, (good) => ({
    listMessages: (key, options) => good.listMessages(key, options?.last ? { last: Math.min(options.last, 1_000) } : {}),
  })),
  fault("DynamoDB: gives at most 1 MB", "last", largeThread, (good) => ({
    async listMessages(key, options) {
      let size = 0;
      const messages = (await good.listMessages(key, options)).reverse();
      const end = messages.findIndex((message) => (size += JSON.stringify(message).length) > 2 ** 20 + 2_000);
      return (end < 0 ? messages : messages.slice(0, end)).reverse();
    },
  })),
  fault("MongoDB: keeps a thread in a document of at most 16 MB", "last", largeThread, (good, data) => ({
    async appendMessages(key, messages, options) {
      const size = (find(data, key)?.messages ?? []).reduce((sum, message) => sum + JSON.stringify(message).length, 0);
      if (size > 16 * 2 ** 20 - 200_000) throw new Error("BSONObj size is invalid");
      return good.appendMessages(key, messages, options);
    },
  })),
  fault("MySQL: skips a message that is too large, and gives its id all the same", "whole", "a message of 1 MB is kept", (good) => ({
    async appendMessages(key, messages, options) {
      const ids = await good.appendMessages(
        key,
        messages.filter((message) => JSON.stringify(message).length < 500_000),
        options,
      );
      return options?.replacesAnswerTo === undefined && messages.some((message) => JSON.stringify(message).length >= 500_000)
        ? messages.map(({ id }) => id)
        : ids;
    },
  })),
  fault("knows the ids of the newest 1,000 messages", "idOnce", "an id is known however long ago it was stored", (good, data) => ({
    async appendMessages(key, messages, options) {
      if (options?.replacesAnswerTo !== undefined || messages.length === 0) return good.appendMessages(key, messages, options);
      const batch = copyOf(messages);
      const known = new Set(
        find(data, key)
          ?.messages.slice(-1_000)
          .map(({ id }) => id),
      );
      const fresh = batch.filter(({ id }) => !known.has(id) && known.add(id));
      if (fresh.length === 0) return [];
      const thread = find(data, key) ?? make(data, key, options?.title ?? "");
      thread.messages.push(...fresh);
      thread.activity = nextActivity(data, key.owner);
      return fresh.map(({ id }) => id);
    },
  })),
  fault("updates one of the newest 1,000 messages", "updateInPlace", "the oldest of 1,200 messages is updated", (good, data) => ({
    async updateMessage(key, id, change) {
      const isThere = find(data, key)
        ?.messages.slice(-1_000)
        .some((message) => message.id === id);
      return isThere ? good.updateMessage(key, id, change) : false;
    },
  })),
  fault(
    "looks for the prompt among the newest 100 messages",
    "replacesAnswerTo",
    "a prompt far back in the thread is answered",
    (good, data) => ({
      async appendMessages(key, messages, options) {
        const prompt = options?.replacesAnswerTo;
        const isThere = find(data, key)
          ?.messages.slice(-100)
          .some(({ id }) => id === prompt);
        return prompt === undefined || isThere ? good.appendMessages(key, messages, options) : [];
      },
    }),
  ),
  fault(
    "looks for a whole answer among the newest 100 messages",
    "replacesAnswerTo",
    "a prompt far back in the thread is answered",
    (good, data) => ({
      async appendMessages(key, messages, options) {
        const thread = find(data, key);
        const prompt = options?.replacesAnswerTo;
        const isAnswered = thread?.messages
          .slice(-100)
          .some(({ id, promptId, status }) => promptId === prompt && id !== prompt && status === "complete");
        if (prompt === undefined || !thread || isAnswered) return good.appendMessages(key, messages, options);
        const ids = await good.appendMessages(key, messages, options);
        return ids.length > 0 || !thread.messages.some(({ id }) => id === prompt) ? ids : good.appendMessages(key, messages);
      },
    }),
  ),
  fault("leaves a deleted thread's messages beyond the first 1,000", "deleteThread", deletedThread, (good, data) => {
    const left = new Map<string, KeptThread["messages"]>();
    return {
      async deleteThread(key) {
        left.set(nameOf(key), find(data, key)?.messages.slice(1_000) ?? []);
        return good.deleteThread(key);
      },
      async appendMessages(key, messages, options) {
        const isNew = !find(data, key);
        const ids = await good.appendMessages(key, messages, options);
        if (isNew) find(data, key)?.messages.unshift(...(left.get(nameOf(key)) ?? []));
        return ids;
      },
    };
  }),
  ...[100, 500, 1_000].map((count) =>
    fault(`deletes an owner's first ${count} threads`, "deleteOwner", deletedOwner, (good, data) => ({
      async deleteOwner(owner) {
        const gone = new Set(threadsOf(data, owner).slice(0, count));
        data.threads = data.threads.filter((thread) => !gone.has(thread));
      },
    })),
  ),
  fault("gives at most 100 threads, and then no cursor", "pages", longWalk, (good) => ({
    async listThreads(owner, page) {
      const list = await good.listThreads(owner, page);
      return list.threads.length > 100 ? { threads: list.threads.slice(0, 100) } : list;
    },
  })),
  fault("compares activities as text", "pages", longWalk, (good, data) => ({
    async listThreads(owner, { limit, cursor }) {
      const rest = threadsOf(data, owner).filter(({ activity }) => cursor === undefined || String(activity) < cursor);
      const page = rest.slice(0, limit);
      const threads = page.map(({ threadId, title, createdAt, updatedAt }) => ({ threadId, title, createdAt, updatedAt }));
      return { threads, ...(rest.length > limit && { nextCursor: String(page.at(-1)!.activity) }) };
    },
  })),
  fault("ends a walk at the two hundredth thread", "pages", longWalk, (good, data) => ({
    async listThreads(owner, page) {
      const list = await good.listThreads(owner, page);
      const seen = threadsOf(data, owner).findIndex(({ threadId }) => threadId === list.threads.at(-1)?.threadId);
      return seen >= 200 ? { threads: list.threads } : list;
    },
  })),
];
