/** Stores that drop an empty filter, as `where: { owner: owner || undefined }` does in most ORMs. */
import { fault, type BrokenStore } from "./broken-stores.ts";
import { find, pageOf } from "./simple-store.ts";

const emptyOwner = "the empty owner is an owner like others";
const emptyIds = "empty ids stand for themselves";

export const brokenFilters: BrokenStore[] = [
  fault("Prisma: deletes everyone's threads for the empty owner", "deleteOwner", emptyOwner, (good, data) => ({
    async deleteOwner(owner) {
      if (owner) return good.deleteOwner(owner);
      data.threads = [];
    },
  })),
  fault("Prisma: lists everyone's threads for the empty owner", "deleteOwner", emptyOwner, (good, data) => ({
    async listThreads(owner, page) {
      if (owner) return good.listThreads(owner, page);
      const all = data.threads.toSorted((a, b) => b.activity - a.activity);
      return pageOf(all, page.limit, page.cursor);
    },
  })),
  fault("Prisma: deletes a thread of anyone for the empty owner", "deleteOwner", emptyOwner, (good, data) => ({
    async deleteThread(key) {
      const found = find(data, key) ?? (key.owner ? undefined : data.threads.find(({ threadId }) => threadId === key.threadId));
      return found ? good.deleteThread(found) : false;
    },
  })),
  fault("Prisma: renames a thread of anyone for the empty owner", "deleteOwner", emptyOwner, (good, data) => ({
    async renameThread(key, title) {
      const found = find(data, key) ?? (key.owner ? undefined : data.threads.find(({ threadId }) => threadId === key.threadId));
      return found ? good.renameThread(found, title) : false;
    },
  })),
  fault("Sequelize: lists a thread of anyone for the empty owner", "keys", emptyIds, (good, data) => ({
    async listMessages(key, options) {
      const found = find(data, key) ?? (key.owner ? undefined : data.threads.find(({ threadId }) => threadId === key.threadId));
      return found ? good.listMessages(found, options) : [];
    },
  })),
  fault("Mongoose: lists all threads for the empty thread id", "keys", emptyIds, (good, data) => ({
    async listMessages(key, options) {
      if (key.threadId) return good.listMessages(key, options);
      const lists = await Promise.all(data.threads.filter(({ owner }) => owner === key.owner).map((thread) => good.listMessages(thread)));
      return lists.flat();
    },
  })),
  fault("Mongoose: deletes messages of all threads for the empty thread id", "keys", emptyIds, (good, data) => ({
    async deleteMessages(key, ids) {
      for (const thread of key.threadId ? [key] : data.threads.filter(({ owner }) => owner === key.owner))
        await good.deleteMessages(thread, ids);
    },
  })),
  fault("Mongoose: updates the first message for the empty id", "keys", emptyIds, (good, data) => ({
    updateMessage: (key, id, change) => good.updateMessage(key, id || (find(data, key)?.messages[0]?.id ?? ""), change),
  })),
  fault("Mongoose: deletes all messages for the empty id", "keys", emptyIds, (good, data) => ({
    deleteMessages: (key, ids) => good.deleteMessages(key, ids.includes("") ? (find(data, key)?.messages.map(({ id }) => id) ?? []) : ids),
  })),
  fault("Kysely: deletes all messages for no ids", "deleteMessages", "deleting messages removes those and no others", (good, data) => ({
    deleteMessages: (key, ids) => good.deleteMessages(key, ids.length > 0 ? ids : (find(data, key)?.messages.map(({ id }) => id) ?? [])),
  })),
  fault("takes the empty prompt id for none", "replacesAnswerTo", "an answer to the empty prompt id is no plain append", (good) => ({
    appendMessages: (key, messages, options) =>
      good.appendMessages(key, messages, { ...options, replacesAnswerTo: options?.replacesAnswerTo || undefined }),
  })),
];
