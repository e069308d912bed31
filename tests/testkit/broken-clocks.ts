/** Stores that order by clocks, or keep in the process what every instance must know. */
import type { StoredMessage, ThreadKey } from "../../src/index.ts";
import { fault, roundTrip, type BrokenStore } from "./broken-stores.ts";
import { copyOf, find, listed, threadsOf } from "./simple-store.ts";

const nameOf = ({ owner, threadId }: ThreadKey) => JSON.stringify([owner, threadId]);

/** Where messages and threads go, by a number that each instance makes for itself. */
const numbers = new WeakMap<object, number>();

const clocks = "two instances whose clocks differ keep messages in order";
const threadClocks = "two instances whose clocks differ keep threads in order";

/** A clock that never stands still or runs backwards, in one process. */
function processClock(): () => number {
  let last = 0;
  return () => (last = Math.max(Date.now(), last + 1));
}

export const brokenClocks: BrokenStore[] = [
  fault("orders messages by the clock of the instance, which never runs backwards", "order", clocks, (good, data) => {
    const now = processClock();
    return {
      async appendMessages(key, messages, options) {
        const at = now();
        const ids = await good.appendMessages(key, messages, options);
        const thread = find(data, key);
        for (const message of thread?.messages ?? []) if (ids.includes(message.id)) numbers.set(message, at);
        thread?.messages.sort((a, b) => numbers.get(a)! - numbers.get(b)!);
        return ids;
      },
    };
  }),
  fault(
    "orders messages by time-ordered ids",
    "order",
    "a store opened later goes on at the end, whatever its clock says",
    (good, data) => {
      const now = processClock();
      const times = new Map<string, number>(data.threads.flatMap(({ messages }) => messages.map(({ id }) => [id, Date.now()])));
      return {
        async appendMessages(key, messages, options) {
          const at = now();
          const ids = await good.appendMessages(key, messages, options);
          for (const id of ids) times.set(id, at);
          find(data, key)?.messages.sort((a, b) => (times.get(a.id) ?? 0) - (times.get(b.id) ?? 0));
          return ids;
        },
      };
    },
  ),
  fault("orders threads by the clock of the instance, which never runs backwards", "activity", threadClocks, (good, data) => {
    const now = processClock();
    return {
      async appendMessages(key, messages, options) {
        const at = now();
        const ids = await good.appendMessages(key, messages, options);
        const thread = find(data, key);
        if (thread && ids.length > 0) numbers.set(thread, at);
        return ids;
      },
      async listThreads(owner, { limit }) {
        const threads = threadsOf(data, owner).sort((a, b) => (numbers.get(b) ?? b.createdAt) - (numbers.get(a) ?? a.createdAt));
        return { threads: threads.slice(0, limit).map(listed) };
      },
    };
  }),
  fault("counts messages in the process", "order", clocks, (good, data) => {
    const last = new Map<string, number>();
    return {
      async appendMessages(key, messages, options) {
        const ids = await good.appendMessages(key, messages, options);
        const thread = find(data, key);
        for (const message of thread?.messages ?? []) {
          if (!ids.includes(message.id)) continue;
          const number = (last.get(nameOf(key)) ?? 0) + 1;
          last.set(nameOf(key), number);
          numbers.set(message, number);
        }
        thread?.messages.sort((a, b) => numbers.get(a)! - numbers.get(b)!);
        return ids;
      },
    };
  }),
  fault("Cassandra: loses an update with an earlier time", "updateInPlace", "a clock running backwards loses no update", (good) => {
    const written = new Map<string, number>();
    return {
      async updateMessage(key, id, change) {
        const now = Date.now();
        const name = nameOf(key) + id;
        if (now < (written.get(name) ?? 0)) return (await good.listMessages(key)).some((message) => message.id === id);
        written.set(name, now);
        return good.updateMessage(key, id, change);
      },
    };
  }),
  fault(
    "Cassandra: a deletion hides what is stored later with an earlier time",
    "deleteMessages",
    "a clock running backwards hides nothing stored after a deletion",
    (good) => {
      const deleted = new Map<string, number>();
      return {
        async deleteMessages(key, ids) {
          for (const id of ids) deleted.set(nameOf(key) + id, Date.now());
          await good.deleteMessages(key, ids);
        },
        async appendMessages(key, messages, options) {
          const now = Date.now();
          const hidden = messages.filter(({ id }) => now < (deleted.get(nameOf(key) + id) ?? 0)).map(({ id }) => id);
          const ids = await good.appendMessages(key, messages, options);
          await good.deleteMessages(key, hidden);
          return ids;
        },
      };
    },
  ),
  fault("keeps cursors in the process", "pages", "a walk may go on at another instance, in pages of another size", (good) => {
    const cursors = new Map<string, string>();
    return {
      async listThreads(owner, { limit, cursor }) {
        const known = cursor === undefined ? undefined : (cursors.get(cursor) ?? "0");
        const { threads, nextCursor } = await good.listThreads(owner, { limit, cursor: known });
        if (nextCursor === undefined) return { threads };
        const name = `c${cursors.size}`;
        cursors.set(name, nextCursor);
        return { threads, nextCursor: name };
      },
    };
  }),
  fault("gives page numbers as cursors", "pages", "a walk may go on at another instance, in pages of another size", (_, data) => ({
    async listThreads(owner, { limit, cursor }) {
      const page = Number(cursor ?? 0);
      const threads = threadsOf(data, owner);
      const isLast = (page + 1) * limit >= threads.length;
      return { threads: threads.slice(page * limit, (page + 1) * limit).map(listed), ...(!isLast && { nextCursor: String(page + 1) }) };
    },
  })),
  fault("asks once for reads that meet, whatever they ask for", "last", "reads at once are each answered, and share nothing", (good) => {
    const running = new Map<string, Promise<StoredMessage[]>>();
    return {
      async listMessages(key, options) {
        const name = nameOf(key);
        const found = running.get(name) ?? good.listMessages(key, options).finally(() => running.delete(name));
        running.set(name, found);
        return copyOf(await found);
      },
    };
  }),
  fault("hands the same messages to reads that meet", "last", "reads at once are each answered, and share nothing", (good) => {
    const running = new Map<string, Promise<StoredMessage[]>>();
    return {
      async listMessages(key, options) {
        const name = JSON.stringify([key, options]);
        const found = running.get(name) ?? good.listMessages(key, options).finally(() => running.delete(name));
        running.set(name, found);
        return found;
      },
    };
  }),
  fault(
    "orders messages by a clock that it reads once it has the lock",
    "order",
    "a clock running backwards or standing still changes no order",
    (good, data) => ({
      async appendMessages(key, messages, options) {
        const batch = copyOf(messages);
        await roundTrip();
        const at = Date.now();
        const ids = await good.appendMessages(key, batch, options);
        const thread = find(data, key);
        for (const message of thread?.messages ?? []) if (ids.includes(message.id)) numbers.set(message, at);
        thread?.messages.sort((a, b) => numbers.get(a)! - numbers.get(b)!);
        return ids;
      },
    }),
  ),
  fault(
    "orders threads by a time that the ORM makes as it writes",
    "activity",
    "a clock running backwards or standing still changes no order of threads",
    (good, data) => ({
      async appendMessages(key, messages, options) {
        const batch = copyOf(messages);
        await roundTrip();
        const ids = await good.appendMessages(key, batch, options);
        const thread = find(data, key);
        if (thread) thread.activity = new Date().getTime() * 1_000 + (thread.activity % 1_000);
        return ids;
      },
    }),
  ),
];
