/** Stores that come to harm where calls meet, or where one fails. */
import type { StoredMessage, ThreadKey } from "../../src/index.ts";
import { fault, roundTrip, type BrokenStore } from "./broken-stores.ts";
import { type Data, copyOf, find, make, noData, openTurn } from "./simple-store.ts";

const nameOf = ({ owner, threadId }: ThreadKey) => JSON.stringify([owner, threadId]);

/** What the instances on the same data share, as a database's locks are. */
const locks = new WeakMap<Data, Map<string, Promise<unknown>>>();
const atWork = new WeakMap<Data, number>();

/** Runs the work when those before it on this thread are done. */
function locked<T>(data: Data, key: ThreadKey, work: () => Promise<T>): Promise<T> {
  const held = locks.get(data) ?? new Map<string, Promise<unknown>>();
  locks.set(data, held);
  const before = held.get(nameOf(key)) ?? Promise.resolve();
  const running = before.then(work, work);
  held.set(
    nameOf(key),
    running.catch(() => {}),
  );
  return running;
}

/** A pool of so many connections. */
function createPool(size: number) {
  let free = size;
  const waiting: (() => void)[] = [];
  return {
    async take() {
      if (free === 0) await new Promise<void>((resolve) => waiting.push(resolve));
      else free--;
    },
    give() {
      const next = waiting.shift();
      if (next) next();
      else free++;
    },
  };
}

export const brokenRaces: BrokenStore[] = [
  fault("deletes by writing the rest of the thread", "deleteMessages", "a deletion undoes no append of other messages", (good, data) => ({
    async deleteMessages(key, ids) {
      const rest = (await good.listMessages(key)).filter(({ id }) => !ids.includes(id));
      await roundTrip();
      const thread = find(data, key);
      if (thread) thread.messages = rest;
    },
  })),
  fault("deletes from a list of ids that it read before", "deleteMessages", "two deletions at once are both made", (good, data) => ({
    async deleteMessages(key, ids) {
      const before = copyOf(find(data, key)?.messages ?? []);
      await roundTrip();
      const thread = find(data, key);
      const added = thread?.messages.filter(({ id }) => !before.some((message) => message.id === id)) ?? [];
      if (thread) thread.messages = [...before.filter(({ id }) => !ids.includes(id)), ...added];
    },
  })),
  fault(
    "updates by writing the thread's other messages, too",
    "updateInPlace",
    "updates of different messages at once are both kept",
    (good, data) => ({
      async updateMessage(key, id, change) {
        const before = await good.listMessages(key);
        const copy = copyOf(change);
        await roundTrip();
        const thread = find(data, key);
        if (!thread?.messages.some((message) => message.id === id)) return false;
        const old = new Map(before.map((message) => [message.id, message]));
        thread.messages = thread.messages.map((message) =>
          message.id === id ? { ...message, ...copy } : (old.get(message.id) ?? message),
        );
        return true;
      },
    }),
  ),
  fault(
    "gives up an update after losing three races",
    "updateInPlace",
    "many updates of one message at once are all made",
    (good, data) => ({
      async updateMessage(key, id, change) {
        const copy = copyOf(change);
        for (let attempt = 0; attempt < 3; attempt++) {
          const body = JSON.stringify(find(data, key)?.messages.find((message) => message.id === id));
          await roundTrip();
          if (body === JSON.stringify(find(data, key)?.messages.find((message) => message.id === id)))
            return good.updateMessage(key, id, copy);
        }
        throw new Error("WriteConflict");
      },
    }),
  ),
  fault(
    "MySQL: gives up an append at a deadlock",
    "contiguous",
    "appends at once keep each batch contiguous and lose none",
    (good, data) => ({
      async appendMessages(key, messages, options) {
        const batch = copyOf(messages);
        const others = atWork.get(data) ?? 0;
        atWork.set(data, others + 1);
        try {
          await roundTrip();
          if (others > 3) throw new Error("Deadlock found when trying to get lock; try restarting transaction");
          return await good.appendMessages(key, batch, options);
        } finally {
          atWork.set(data, atWork.get(data)! - 1);
        }
      },
    }),
  ),
  fault(
    "Redis: takes an aborted MULTI for done",
    "contiguous",
    "appends at once keep each batch contiguous and lose none",
    (good, data) => ({
      async appendMessages(key, messages, options) {
        const batch = copyOf(messages);
        const watched = find(data, key)?.messages.length;
        await roundTrip();
        const isChanged = find(data, key)?.messages.length !== watched;
        return isChanged && options?.replacesAnswerTo === undefined ? batch.map(({ id }) => id) : good.appendMessages(key, batch, options);
      },
    }),
  ),
  fault("locks within the process alone", "contiguous", "appends at once keep each batch contiguous and lose none", (good) => {
    const own: Data = noData();
    return {
      async appendMessages(key, messages, options) {
        const all = copyOf(messages);
        return locked(own, key, async () => {
          if (options?.replacesAnswerTo !== undefined) return good.appendMessages(key, all, options);
          const ids: string[] = [];
          for (const message of all) {
            ids.push(...(await good.appendMessages(key, [message], options)));
            await roundTrip();
          }
          return ids;
        });
      },
    };
  }),
  fault("takes a second connection within a transaction", "contiguous", "appends to many threads at once are all kept", (good) => {
    const pool = createPool(10);
    return {
      async appendMessages(key, messages, options) {
        const batch = copyOf(messages);
        await pool.take();
        await roundTrip();
        await pool.take();
        const ids = await good.appendMessages(key, batch, options);
        pool.give();
        pool.give();
        return ids;
      },
    };
  }),
  fault("leaks a connection with each failure", "allOrNothing", "a store works on after many calls that failed", (good) => {
    const pool = createPool(10);
    return {
      async appendMessages(key, messages, options) {
        await pool.take();
        const ids = await good.appendMessages(key, messages, options);
        pool.give();
        return ids;
      },
    };
  }),
  fault(
    "PostgreSQL: decides under REPEATABLE READ by what was there before the lock",
    "idOnce",
    "the same id appended at once is stored once",
    (good, data) => ({
      async appendMessages(key, messages, options) {
        const batch = copyOf(messages);
        const known = new Set(find(data, key)?.messages.map(({ id }) => id));
        return locked(data, key, async () => {
          await roundTrip();
          const fresh = batch.filter(({ id }) => !known.has(id) && known.add(id));
          if (fresh.length === 0 || options?.replacesAnswerTo !== undefined) return good.appendMessages(key, batch, options);
          const thread = find(data, key) ?? make(data, key, "");
          thread.messages.push(...fresh);
          return fresh.map(({ id }) => id);
        });
      },
    }),
  ),
  fault(
    "MySQL: looks whether a prompt is answered before the lock",
    "replacesAnswerTo",
    "of two answers at once, under different ids to a new prompt, one is stored",
    (good, data) => ({
      async appendMessages(key, messages, options) {
        const prompt = options?.replacesAnswerTo;
        const batch = copyOf(messages);
        if (prompt === undefined || !openTurn(find(data, key), prompt).isOpen) return good.appendMessages(key, batch, options);
        return locked(data, key, async () => {
          await roundTrip();
          return good.appendMessages(key, batch);
        });
      },
    }),
  ),
  fault("stops deleting at the message that fails", "deleteMessages", "a deletion that fails deletes nothing", (good) => ({
    async deleteMessages(key, ids) {
      for (const id of ids) await good.deleteMessages(key, [id]);
    },
  })),
  fault("stops deleting at the id that the database refuses", "deleteMessages", "a deletion that fails deletes nothing", (good) => ({
    async deleteMessages(key, ids) {
      for (const id of ids) {
        if (/\0|\p{Surrogate}/u.test(id)) throw new Error("invalid byte sequence");
        await good.deleteMessages(key, [id]);
      }
    },
  })),
  fault("sorts the ids it is handed", "copiesIn", "frozen arguments are taken, and stay as they are", (good) => ({
    deleteMessages: (key, ids) => good.deleteMessages(key, (ids as string[]).sort()),
  })),
  fault("takes messages off the batch it is handed", "copiesIn", "frozen arguments are taken, and stay as they are", (good) => ({
    async appendMessages(key, messages, options) {
      const batch: StoredMessage[] = [];
      while (messages.length > 0) batch.unshift((messages as StoredMessage[]).pop()!);
      return good.appendMessages(key, batch, options);
    },
  })),
];
