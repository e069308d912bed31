/** Stores whose instances know different things: caches, replicas, clocks, counters in the process. */
import type { StoredMessage, ThreadKey, ThreadStore } from "../../src/index.ts";
import { fault, type Break, type BrokenStore } from "./broken-stores.ts";
import { copyOf, createSimpleStore, find, pageOf, threadsOf, type Data, type KeptThread } from "./simple-store.ts";

const nameOf = ({ owner, threadId }: ThreadKey) => JSON.stringify([owner, threadId]);

/** Remembers what one method gave for the same arguments, until this instance itself changes something. */
const caching =
  (method: "listMessages" | "getThread" | "listThreads", isKept: (result: unknown, args: unknown[]) => boolean = () => true): Break =>
  (good) => {
    const cache = new Map<string, unknown>();
    const changing = (
      ["appendMessages", "updateMessage", "deleteMessages", "createThread", "renameThread", "deleteThread", "deleteOwner"] as const
    ).map((name) => [name, (...args: never[]) => (cache.clear(), Reflect.apply(good[name], good, args))]);
    const cached = async (...args: unknown[]) => {
      const name = JSON.stringify(args);
      if (cache.has(name)) return copyOf(cache.get(name) ?? null) ?? undefined;
      const result: unknown = await Reflect.apply(good[method], good, args);
      if (isKept(result, args)) cache.set(name, result);
      return result;
    };
    return { ...Object.fromEntries(changing), [method]: cached } as Partial<ThreadStore>;
  };

/** A store that reads from what the others knew before this instance's own last change: a replica that lags. */
const behind = new WeakMap<Data, Data>();

const messagesSeen = "an instance that has read a thread sees each change of the other";
const threadsSeen = "an instance that has read a thread and the list sees each change of the other";
const othersDeleted = "an instance knows what the other deleted";

export const brokenCaches: BrokenStore[] = [
  fault("caches threads as they are got", "durable", threadsSeen, caching("getThread")),
  fault(
    "caches which threads there are not",
    "durable",
    threadsSeen,
    caching("getThread", (thread) => thread === undefined),
  ),
  fault("caches the first page of threads", "durable", threadsSeen, caching("listThreads")),
  fault("caches messages", "durable", messagesSeen, caching("listMessages")),
  fault(
    "caches the last messages",
    "durable",
    messagesSeen,
    caching("listMessages", (_, [, options]) => Object(options).last !== undefined),
  ),
  fault(
    "caches which threads are empty",
    "durable",
    messagesSeen,
    caching("listMessages", (messages) => JSON.stringify(messages) === "[]"),
  ),
  fault("caches the ids it has stored", "durable", othersDeleted, (good, data) => {
    const known = new Set<string>();
    return {
      async appendMessages(key, messages, options) {
        const fresh = messages.filter(({ id }) => options?.replacesAnswerTo !== undefined || !known.has(nameOf(key) + id));
        const ids = await good.appendMessages(key, fresh, options);
        for (const id of ids) known.add(nameOf(key) + id);
        return ids;
      },
      async deleteMessages(key, ids) {
        for (const id of ids) known.delete(nameOf(key) + id);
        await good.deleteMessages(key, ids);
      },
      async deleteThread(key) {
        for (const { id } of find(data, key)?.messages ?? []) known.delete(nameOf(key) + id);
        return good.deleteThread(key);
      },
    };
  }),
  fault("caches the key of a thread's row", "durable", "an instance knows which threads the other deleted", (good, data) => {
    const rows = new Map<string, KeptThread>();
    return {
      async appendMessages(key, messages, options) {
        const row = rows.get(nameOf(key));
        if (row && !data.threads.includes(row)) return messages.map(({ id }) => id); // into a thread that is gone
        const ids = await good.appendMessages(key, messages, options);
        const found = find(data, key);
        if (found) rows.set(nameOf(key), found);
        return ids;
      },
      async deleteThread(key) {
        rows.delete(nameOf(key));
        return good.deleteThread(key);
      },
    };
  }),
  fault("TypeORM: writes a message back as it was when first read", "durable", othersDeleted, (good, data) => {
    const entities = new Map<string, StoredMessage>();
    return {
      async updateMessage(key, id, change) {
        const message = find(data, key)?.messages.find((message) => message.id === id);
        if (!message) return false;
        const entity = entities.get(nameOf(key) + id) ?? copyOf(message);
        entities.set(nameOf(key) + id, Object.assign(entity, copyOf(change)));
        return good.updateMessage(key, id, entity);
      },
    };
  }),
  fault("DynamoDB: lists threads from an index that lags", "durable", threadsSeen, (good, data) => ({
    async listThreads(owner, page) {
      const old = behind.get(data) ?? copyOf(data);
      behind.set(data, copyOf(data));
      return createSimpleStore(old).listThreads(owner, page);
    },
  })),
  fault("renames a moment later, and shows it to itself at once", "durable", threadsSeen, (good) => {
    const titles = new Map<string, string>();
    return {
      async renameThread(key, title) {
        if (!(await good.getThread(key))) return false;
        titles.set(nameOf(key), title);
        setTimeout(() => void good.renameThread(key, title), 1);
        return true;
      },
      async getThread(key) {
        const thread = await good.getThread(key);
        return thread && { ...thread, title: titles.get(nameOf(key)) ?? thread.title };
      },
    };
  }),
  fault("deletes a thread for itself at once, for others a moment later", "durable", threadsSeen, (good, data) => {
    const gone = new Set<KeptThread>();
    const isGone = (key: ThreadKey) => {
      const found = find(data, key);
      return found !== undefined && gone.has(found);
    };
    return {
      async deleteThread(key) {
        const found = find(data, key);
        if (!found || gone.has(found)) return false;
        gone.add(found);
        setTimeout(() => void (data.threads = data.threads.filter((thread) => thread !== found)), 1);
        return true;
      },
      getThread: async (key) => (isGone(key) ? undefined : good.getThread(key)),
      listMessages: async (key, options) => (isGone(key) ? [] : good.listMessages(key, options)),
      listThreads: async (owner, { limit, cursor }) =>
        pageOf(
          threadsOf(data, owner).filter((thread) => !gone.has(thread)),
          limit,
          cursor,
        ),
    };
  }),
  fault("reads from a replica after writing to the primary", "durable", messagesSeen, (good, data) => {
    const writes = new Set<string>();
    return {
      async appendMessages(key, messages, options) {
        behind.set(data, copyOf(data));
        writes.add(nameOf(key)); // its own session reads from the primary
        return good.appendMessages(key, messages, options);
      },
      async listMessages(key, options) {
        const replica = behind.get(data);
        return writes.has(nameOf(key)) || !replica
          ? good.listMessages(key, options)
          : createSimpleStore(replica).listMessages(key, options);
      },
    };
  }),
];
