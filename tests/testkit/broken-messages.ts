/** Stores whose messages are not kept as promised. */
import type { MessageStore, StoredMessage } from "../../src/index.ts";
import { broken, withKeys, withOwnKeys, type BrokenStore } from "./broken-stores.ts";
import { copyOf, createSimpleStore, find, noData } from "./simple-store.ts";

type List = MessageStore["listMessages"];

/** A listing that does something to the right one's messages. */
const listing =
  (good: MessageStore, change: (messages: StoredMessage[]) => StoredMessage[]): List =>
  async (key, options) =>
    change(await good.listMessages(key)).slice(-(options?.last ?? Infinity));

/** A listing that does something to each message. */
const reading =
  (good: MessageStore, change: (message: StoredMessage) => object): List =>
  async (key, options) =>
    (await good.listMessages(key, options)).map((message) => Object.assign(message, change(message)));

const content = (change: (text: string) => unknown) => (good: MessageStore) => ({
  listMessages: reading(good, ({ message }) => ({
    message: typeof message.content === "string" ? { ...message, content: change(message.content) } : message,
  })),
});

export const brokenListings: BrokenStore[] = [
  broken("rejects for an unknown thread", "unknownThread", (good, data) => ({
    async listMessages(key, options) {
      if (!find(data, key)) throw new Error("No such thread");
      return good.listMessages(key, options);
    },
  })),
  broken("gives nothing for an unknown thread", "unknownThread", (good, data) => ({
    listMessages: async (key, options) => (find(data, key) ? good.listMessages(key, options) : JSON.parse("null")),
  })),
  broken("orders by createdAt", "order", (good) => ({
    listMessages: listing(good, (messages) => messages.sort((a, b) => a.createdAt - b.createdAt)),
  })),
  broken("orders by its own clock", "order", (good) => {
    const times = new Map<string, number>();
    return {
      listMessages: listing(good, (messages) => messages.sort((a, b) => times.get(a.id)! - times.get(b.id)!)),
      async appendMessages(key, messages, options) {
        for (const { id } of messages) times.set(id, times.get(id) ?? Date.now());
        return good.appendMessages(key, messages, options);
      },
    };
  }),
  broken("orders by id", "order", (good) => ({
    listMessages: listing(good, (messages) => messages.sort((a, b) => (a.id < b.id ? -1 : 1))),
  })),
  broken("keeps messages in an object by id", "order", (good) => ({
    listMessages: listing(good, (messages) => Object.values(Object.fromEntries(messages.map((message) => [message.id, message])))),
  })),
  broken("numbers messages by how many there are", "order", (good, data) => {
    const numbers = new WeakMap<StoredMessage, number>();
    return {
      async appendMessages(key, messages, options) {
        const from = find(data, key)?.messages.length ?? 0;
        const ids = await good.appendMessages(key, messages, options);
        const thread = find(data, key);
        thread?.messages.forEach((message, index) => index >= from && numbers.set(message, index));
        thread?.messages.sort((a, b) => numbers.get(a)! - numbers.get(b)! || (a.id < b.id ? -1 : 1));
        return ids;
      },
    };
  }),
  broken("keeps no more than 1,000 messages", "order", (good) => ({
    listMessages: listing(good, (messages) => messages.slice(-1_000)),
  })),
  broken("gives the oldest n", "last", (good) => ({
    listMessages: async (key, options) => (await good.listMessages(key)).slice(0, options?.last),
  })),
  broken("gives the newest n newest first", "last", (good) => ({
    listMessages: async (key, options) => {
      const messages = await good.listMessages(key, options);
      return options?.last ? messages.reverse() : messages;
    },
  })),
  broken("gives one message too many", "last", (good) => ({
    listMessages: (key, options) => good.listMessages(key, options?.last ? { last: options.last + 1 } : {}),
  })),
  broken("ignores last", "last", (good) => ({ listMessages: (key) => good.listMessages(key) })),
  broken("hands out its own messages", "copiesOut", (_, data) => ({
    listMessages: async (key, { last = Infinity } = {}) => (find(data, key)?.messages ?? []).slice(-last),
  })),
  broken("hands out shallow copies", "copiesOut", (_, data) => ({
    listMessages: async (key, { last = Infinity } = {}) =>
      (find(data, key)?.messages ?? []).slice(-last).map((message) => ({ ...message })),
  })),
  broken("hands out its own array", "copiesOut", (_, data) => ({
    listMessages: async (key, { last } = {}) => {
      const messages = find(data, key)?.messages ?? [];
      return last ? copyOf(messages.slice(-last)) : messages;
    },
  })),
];

export const brokenContents: BrokenStore[] = [
  broken(
    "cuts long texts off",
    "whole",
    content((text) => text.slice(0, 65_535)),
  ),
  broken(
    "strips NUL",
    "whole",
    content((text) => text.replaceAll("\0", "")),
  ),
  broken(
    "stores lone surrogates as U+FFFD",
    "whole",
    content((text) => text.toWellFormed()),
  ),
  broken(
    "normalises texts",
    "whole",
    content((text) => text.normalize()),
  ),
  broken(
    "trims texts",
    "whole",
    content((text) => text.trimEnd()),
  ),
  broken(
    "stores empty texts as null",
    "whole",
    content((text) => text || null),
  ),
  broken("keeps the fields it knows", "whole", (good) => ({
    listMessages: async (key, options) =>
      (await good.listMessages(key, options)).map(({ id, promptId, message, status, createdAt, finishReason, usage }) => ({
        ...{ id, promptId, message, status, createdAt, finishReason },
        usage,
      })),
  })),
  broken("keeps the roles it knows", "whole", (good) => ({
    listMessages: listing(good, (messages) => messages.filter(({ message }) => ["user", "assistant", "tool"].includes(message.role))),
  })),
  broken("gives null for a field that was never there", "whole", (good) => ({
    listMessages: reading(good, ({ finishReason = null }) => ({ finishReason })),
  })),
  broken("gives text for null content", "whole", (good) => ({
    listMessages: reading(good, ({ message }) => ({ message: message.content === null ? { ...message, content: "" } : message })),
  })),
  broken("keeps createdAt in seconds", "whole", (good) => ({
    listMessages: reading(good, ({ createdAt }) => ({ createdAt: Math.floor(createdAt / 1_000) * 1_000 })),
  })),
  broken("keeps createdAt in 32 bits", "whole", (good) => ({
    listMessages: reading(good, ({ createdAt }) => ({ createdAt: createdAt | 0 })),
  })),
  broken("keeps usage as totals", "whole", (good) => ({
    listMessages: reading(good, ({ usage }) =>
      usage
        ? { usage: { prompt_tokens: usage.prompt_tokens, completion_tokens: usage.completion_tokens, total_tokens: usage.total_tokens } }
        : {},
    ),
  })),
];

export const brokenKeys: BrokenStore[] = [
  broken("ignores the owner", "isolation", (good) => withOwnKeys(good, ({ threadId }) => ({ owner: "", threadId }))),
  broken("joins owner and thread id", "keys", (good) =>
    withOwnKeys(good, ({ owner, threadId }) => ({ owner: "", threadId: `${owner}:${threadId}` })),
  ),
  broken("joins them by NUL", "keys", (good) =>
    withOwnKeys(good, ({ owner, threadId }) => ({ owner: "", threadId: `${owner}\0${threadId}` })),
  ),
  broken("ignores case", "keys", (good) => withKeys(good, (text) => text.toLowerCase())),
  broken("trims ids", "keys", (good) => withKeys(good, (text) => text.trim())),
  broken("normalises ids", "keys", (good) => withKeys(good, (text) => text.normalize("NFKC"))),
  broken("writes ids as UTF-8", "keys", (good) => withKeys(good, (text) => Buffer.from(text).toString())),
  broken("cuts ids off", "keys", (good) => withKeys(good, (text) => text.slice(0, 255))),
  broken("ends ids at NUL", "keys", (good) => withKeys(good, (text) => text.split("\0")[0]!)),
  broken("makes file names of ids", "keys", (good) => withKeys(good, (text) => text.replaceAll(/[^\p{L}\p{N}\p{M}]/gu, "_"))),
  broken("unescapes ids", "keys", (good) => withKeys(good, (text) => text.replaceAll("%2F", "/"))),
  broken("reads numbers in ids", "keys", (good) => withKeys(good, (text) => (/^\d+(\.\d+)?$/.test(text) ? String(Number(text)) : text))),
  broken("takes the empty owner for none", "keys", (good) =>
    withOwnKeys(good, ({ owner, threadId }) => ({ owner: owner || "null", threadId })),
  ),
  broken("keeps threads in an object", "keys", (good) => {
    const kept: Record<string, string> = {};
    return withKeys(good, (text) => (kept[text] ??= text));
  }),
  broken("finds threads by a pattern", "keys", (good, data) =>
    withKeys(good, (text) => {
      const pattern = new RegExp(
        `^${text
          .replaceAll(/[.*+?^${}()|[\]\\]/g, "\\$&")
          .replaceAll("%", ".*")
          .replaceAll("_", ".")}$`,
        "s",
      );
      const names = data.threads.flatMap(({ owner, threadId }) => [owner, threadId]);
      return names.find((name) => pattern.test(name)) ?? text;
    }),
  ),
  broken("ignores the case of message ids", "messageIds", (good) => ({
    async appendMessages(key, messages, options) {
      const known = new Set((await good.listMessages(key)).map(({ id }) => id.toLowerCase()));
      const fresh = messages.filter(({ id }) => !known.has(id.toLowerCase()));
      return good.appendMessages(key, fresh, options);
    },
  })),
  broken("refuses odd message ids", "messageIds", (good) => ({
    async appendMessages(key, messages, options) {
      if (messages.some(({ id }) => !/^[\w.-]{1,600}$/.test(id))) throw new Error("Bad id");
      return good.appendMessages(key, messages, options);
    },
  })),
  broken("finds updated messages by a prefix", "messageIds", (good, data) => ({
    async updateMessage(key, id, change) {
      const found = find(data, key)?.messages.find((message) => message.id.startsWith(id));
      return good.updateMessage(key, found?.id ?? id, change);
    },
  })),
  broken("updates a message of any owner", "isolation", (good, data) => ({
    async updateMessage(key, id, change) {
      const found = data.threads.findLast(
        ({ threadId, messages }) => threadId === key.threadId && messages.some((message) => message.id === id),
      );
      return good.updateMessage(found ?? key, id, change);
    },
  })),
  broken("deletes messages of any owner", "isolation", (good, data) => ({
    async deleteMessages(key, ids) {
      for (const { owner, threadId } of data.threads) if (threadId === key.threadId) await good.deleteMessages({ owner, threadId }, ids);
    },
  })),
  broken("holds message ids once for all threads", "isolation", (good, data) => ({
    async appendMessages(key, messages, options) {
      const known = new Set(data.threads.flatMap((thread) => thread.messages.map(({ id }) => id)));
      return good.appendMessages(
        key,
        messages.filter(({ id }) => !known.has(id)),
        options,
      );
    },
  })),
];

export const brokenInstances: BrokenStore[] = [
  {
    name: "keeps messages in the process",
    breaks: "durable",
    faulty: Object.keys(createSimpleStore(noData())),
    create: () => createSimpleStore(noData()),
  },
  broken("writes when it is next read", "durable", (good) => {
    let unwritten: (() => Promise<unknown>)[] = [];
    return {
      async updateMessage(key, id, change) {
        const copy = copyOf(change);
        unwritten.push(() => good.updateMessage(key, id, copy));
        return (await good.listMessages(key)).some((message) => message.id === id);
      },
      async listMessages(key, options) {
        for (const write of unwritten) await write();
        unwritten = [];
        return good.listMessages(key, options);
      },
    };
  }),
  broken("reads from a cache of its own", "durable", (good) => {
    const cache = new Map<string, Promise<StoredMessage[]>>();
    const forget = (key: object): unknown => cache.delete(JSON.stringify(key));
    return {
      async listMessages(key, { last = Infinity } = {}) {
        const name = JSON.stringify(key);
        if (!cache.has(name)) cache.set(name, good.listMessages(key));
        return copyOf((await cache.get(name)!).slice(-last));
      },
      appendMessages: async (key, messages, options) => (forget(key), good.appendMessages(key, messages, options)),
      updateMessage: async (key, id, change) => (forget(key), good.updateMessage(key, id, change)),
      deleteMessages: async (key, ids) => (forget(key), good.deleteMessages(key, ids)),
      deleteThread: async (key) => (forget(key), good.deleteThread(key)),
      deleteOwner: async (owner) => (cache.clear(), good.deleteOwner(owner)),
    };
  }),
];
