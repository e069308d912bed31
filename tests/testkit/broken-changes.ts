/** Stores that update or delete messages not as promised. */
import { broken, roundTrip, type BrokenStore } from "./broken-stores.ts";
import { copyOf, find } from "./simple-store.ts";

export const brokenChanges: BrokenStore[] = [
  broken("moves an updated message to the end", "updateInPlace", (good, data) => ({
    async updateMessage(key, id, change) {
      const updated = await good.updateMessage(key, id, change);
      find(data, key)?.messages.sort((a, b) => Number(a.id === id) - Number(b.id === id));
      return updated;
    },
  })),
  broken("drops the fields an update does not name", "updateInPlace", (good, data) => ({
    async updateMessage(key, id, change) {
      const updated = await good.updateMessage(key, id, change);
      const message = find(data, key)?.messages.find((message) => message.id === id);
      if (message && !("usage" in change)) delete message.usage;
      return updated;
    },
  })),
  broken("drops unknown fields in an update", "updateInPlace", (good, data) => ({
    async updateMessage(key, id, change) {
      const updated = await good.updateMessage(key, id, change);
      const message = find(data, key)?.messages.find((message) => message.id === id);
      for (const name of Object.keys(message ?? {})) if (name === "later") Reflect.deleteProperty(message!, name);
      return updated;
    },
  })),
  broken("clears the fields that are undefined in an update", "updateInPlace", (_, data) => ({
    async updateMessage(key, id, change) {
      const message = find(data, key)?.messages.find((message) => message.id === id);
      if (message) Object.assign(message, copyOf(change), change);
      return message !== undefined;
    },
  })),
  broken("merges the message of an update with the old one", "updateInPlace", (good, data) => ({
    async updateMessage(key, id, change) {
      const old = find(data, key)?.messages.find((message) => message.id === id)?.message;
      return good.updateMessage(
        key,
        id,
        change.message ? { ...change, message: Object.assign({ name: "old" }, old, change.message) } : change,
      );
    },
  })),
  broken("reads a message, then writes it updated", "updateInPlace", (good) => ({
    async updateMessage(key, id, change) {
      const old = (await good.listMessages(key)).find((message) => message.id === id);
      await roundTrip();
      return good.updateMessage(key, id, { ...old, ...copyOf(change) });
    },
  })),
  broken("reads a thread, then writes it updated", "updateInPlace", (good, data) => ({
    async updateMessage(key, id, change) {
      const messages = await good.listMessages(key);
      const message = messages.find((message) => message.id === id);
      const copy = copyOf(change);
      await roundTrip();
      const thread = find(data, key);
      if (message && thread) thread.messages = messages.map((other) => (other.id === id ? { ...other, ...copy } : other));
      return message !== undefined;
    },
  })),
  broken("creates what it cannot update", "updateUnknown", (good) => ({
    async updateMessage(key, id, change) {
      if (await good.updateMessage(key, id, change)) return true;
      const made = { id, promptId: id, message: { role: "user" as const, content: "" }, status: "complete" as const, createdAt: 0 };
      await good.appendMessages(key, [{ ...made, ...change }]);
      return false;
    },
  })),
  broken("says it updated what is not there", "updateUnknown", (good) => ({
    updateMessage: async (key, id, change) => (await good.updateMessage(key, id, change)) || true,
  })),
  broken("rejects an update of what is not there", "updateUnknown", (good) => ({
    async updateMessage(key, id, change) {
      if (!(await good.updateMessage(key, id, change))) throw new Error("Not found");
      return true;
    },
  })),
  broken("deletes the whole thread", "deleteMessages", (good, data) => ({
    async deleteMessages(key) {
      const thread = find(data, key);
      if (thread) thread.messages = [];
    },
  })),
  broken("deletes nothing", "deleteMessages", () => ({ deleteMessages: async () => {} })),
  broken("deletes the first id", "deleteMessages", (good) => ({ deleteMessages: (key, ids) => good.deleteMessages(key, ids.slice(0, 1)) })),
  broken("deletes at most 100", "deleteMessages", (good) => ({
    deleteMessages: (key, ids) => good.deleteMessages(key, ids.slice(0, 100)),
  })),
  broken("deletes nothing where one id is unknown", "deleteMessages", (good, data) => ({
    async deleteMessages(key, ids) {
      const known = find(data, key)?.messages.map(({ id }) => id) ?? [];
      if (ids.every((id) => known.includes(id))) await good.deleteMessages(key, ids);
    },
  })),
  broken("rejects the deletion of an unknown id", "deleteMessages", (good, data) => ({
    async deleteMessages(key, ids) {
      const known = find(data, key)?.messages.map(({ id }) => id) ?? [];
      if (known.length > 0 && !ids.every((id) => known.includes(id))) throw new Error("Not found");
      await good.deleteMessages(key, ids);
    },
  })),
  broken("deletes message by message", "deleteMessages", (good) => ({
    async deleteMessages(key, ids) {
      for (const id of ids) {
        await good.deleteMessages(key, [id]);
        await Promise.resolve();
      }
    },
  })),
  broken("remembers deleted ids as known", "deleteMessages", (good) => {
    const gone = new Set<string>();
    return {
      async deleteMessages(key, ids) {
        for (const id of ids) gone.add(JSON.stringify([key, id]));
        await good.deleteMessages(key, ids);
      },
      appendMessages: (key, messages, options) =>
        good.appendMessages(
          key,
          messages.filter(({ id }) => !gone.has(JSON.stringify([key, id]))),
          options,
        ),
    };
  }),
];
