/** Stores that append not as promised. */
import type { StoredMessage } from "../../src/index.ts";
import { broken, roundTrip, type BrokenStore } from "./broken-stores.ts";
import { copyOf, find, make, nextActivity } from "./simple-store.ts";

export const brokenAppends: BrokenStore[] = [
  broken("loses an update: reads, then writes all", "contiguous", (good, data) => ({
    async appendMessages(key, messages, options) {
      const before = await good.listMessages(key);
      await roundTrip();
      const ids = await good.appendMessages(key, messages, options);
      const thread = find(data, key);
      if (thread) thread.messages = [...before, ...thread.messages.filter(({ id }) => ids.includes(id))];
      return ids;
    },
  })),
  broken("appends message by message", "contiguous", (good) => ({
    async appendMessages(key, messages, options) {
      const all = copyOf(messages); // so that it fails before the first
      const ids: string[] = [];
      for (const message of all) {
        ids.push(...(await good.appendMessages(key, [message], options)));
        await roundTrip();
      }
      return ids;
    },
  })),
  broken("turns a batch around", "order", (good) => ({
    appendMessages: (key, messages, options) => good.appendMessages(key, messages.toReversed(), options),
  })),
  broken("resolves to nothing", "appended", (good) => ({
    appendMessages: async (key, messages, options) => {
      await good.appendMessages(key, messages, options);
      return JSON.parse("null");
    },
  })),
  broken("resolves to how many it stored", "appended", (good) => ({
    appendMessages: async (key, messages, options) => JSON.parse(String((await good.appendMessages(key, messages, options)).length)),
  })),
  broken("resolves to all ids", "idOnce", (good) => ({
    async appendMessages(key, messages, options) {
      const stored = await good.appendMessages(key, messages, options);
      return options?.replacesAnswerTo === undefined ? messages.map(({ id }) => id) : stored;
    },
  })),
  broken("overwrites a known id", "idOnce", (good, data) => ({
    async appendMessages(key, messages, options) {
      const ids = await good.appendMessages(key, messages, options);
      for (const message of find(data, key)?.messages ?? []) {
        Object.assign(message, copyOf(messages.findLast(({ id }) => id === message.id) ?? {}));
      }
      return ids;
    },
  })),
  broken("rejects a known id", "idOnce", (good, data) => ({
    async appendMessages(key, messages, options) {
      const known = find(data, key)?.messages.map(({ id }) => id) ?? [];
      if (messages.some(({ id }) => known.includes(id))) throw new Error("UNIQUE constraint failed");
      return good.appendMessages(key, messages, options);
    },
  })),
  broken("drops a batch with a known id", "idOnce", (good, data) => ({
    async appendMessages(key, messages, options) {
      const known = find(data, key)?.messages.map(({ id }) => id) ?? [];
      return messages.some(({ id }) => known.includes(id)) ? [] : good.appendMessages(key, messages, options);
    },
  })),
  broken("stores a known id again", "idOnce", (good, data) => ({
    async appendMessages(key, messages, options) {
      if (options?.replacesAnswerTo !== undefined || messages.length === 0) return good.appendMessages(key, messages, options);
      const batch = copyOf(messages);
      const thread = find(data, key) ?? make(data, key, options?.title ?? "");
      thread.messages.push(...batch);
      thread.activity = nextActivity(data, key.owner);
      return batch.map(({ id }) => id);
    },
  })),
  broken("stores an id repeated in the batch as it came last", "idOnce", (good) => ({
    appendMessages: (key, messages, options) =>
      good.appendMessages(key, [...new Map(messages.map((message) => [message.id, message])).values()], options),
  })),
  broken("looks for known ids a round trip before it writes", "idOnce", (good, data) => ({
    async appendMessages(key, messages, options) {
      if (options?.replacesAnswerTo !== undefined) return good.appendMessages(key, messages, options);
      const batch = copyOf(messages);
      const known = new Set(find(data, key)?.messages.map(({ id }) => id));
      const fresh = batch.filter(({ id }) => !known.has(id) && known.add(id));
      await roundTrip();
      if (fresh.length === 0) return [];
      const thread = find(data, key) ?? make(data, key, options?.title ?? "");
      thread.messages.push(...fresh);
      thread.activity = nextActivity(data, key.owner);
      return fresh.map(({ id }) => id);
    },
  })),
  broken("stores a batch up to the message that fails", "allOrNothing", (good) => ({
    async appendMessages(key, messages, options) {
      const ids: string[] = [];
      for (const message of messages) ids.push(...(await good.appendMessages(key, [message], options)));
      return ids;
    },
  })),
  broken("leaves out the message that fails", "allOrNothing", (good) => ({
    async appendMessages(key, messages, options) {
      const holds = (message: StoredMessage) => {
        try {
          return copyOf(message).id === message.id;
        } catch {
          return false;
        }
      };
      return good.appendMessages(key, messages.filter(holds), options);
    },
  })),
  broken("refuses whatever comes after a failure", "allOrNothing", (good) => {
    let failed = false;
    return {
      async appendMessages(key, messages, options) {
        if (failed) throw new Error("current transaction is aborted");
        return good.appendMessages(key, messages, options).catch((error: unknown) => {
          failed = true;
          throw error;
        });
      },
    };
  }),
  broken("keeps the messages it is handed", "copiesIn", (good, data) => ({
    async appendMessages(key, messages, options) {
      const ids = await good.appendMessages(key, messages, options);
      const thread = find(data, key);
      if (thread)
        thread.messages = thread.messages.map((kept) => (ids.includes(kept.id) ? messages.find(({ id }) => id === kept.id)! : kept));
      return ids;
    },
  })),
  broken("keeps the key it is handed", "copiesIn", (good, data) => ({
    async appendMessages(key, messages, options) {
      const ids = await good.appendMessages(key, messages, options);
      const thread = find(data, key);
      if (thread) Object.defineProperty(thread, "threadId", { get: () => key.threadId, enumerable: true });
      return ids;
    },
  })),
  broken("keeps the change it is handed", "copiesIn", (good, data) => ({
    async updateMessage(key, id, change) {
      const updated = await good.updateMessage(key, id, change);
      const message = find(data, key)?.messages.find((message) => message.id === id);
      if (message && change.message) message.message = change.message;
      return updated;
    },
  })),
  broken("writes into the messages it is handed", "copiesIn", (good) => ({
    async appendMessages(key, messages, options) {
      const ids = await good.appendMessages(key, messages, options);
      for (const message of messages) Object.assign(message, { sequence: 1 });
      return ids;
    },
  })),
  broken("stores message by message, all of which later calls wait for", "readers", (good) => {
    let last = Promise.resolve<unknown>(undefined);
    return {
      async appendMessages(key, messages, options) {
        const all = copyOf(messages);
        const storing = last.then(async () => {
          const ids: string[] = [];
          for (const message of all) {
            ids.push(...(await good.appendMessages(key, [message], options)));
            await roundTrip();
          }
          return ids;
        });
        last = storing;
        return storing;
      },
    };
  }),
  broken("creates a thread for an empty batch", "emptyBatch", (good) => ({
    async appendMessages(key, messages, options) {
      if (messages.length === 0) await good.createThread(key, options?.title ?? "");
      return good.appendMessages(key, messages, options);
    },
  })),
  broken("rejects an empty batch", "emptyBatch", (good) => ({
    async appendMessages(key, messages, options) {
      if (messages.length === 0) throw new Error('syntax error at or near ")"');
      return good.appendMessages(key, messages, options);
    },
  })),
];
