/** Stores that come to harm where calls meet, or where one fails. */
import type { StoredMessage, ThreadKey } from "../../src/index.ts";
import { fault, roundTrip, type BrokenStore } from "./broken-stores.ts";
import { copyOf, find, listed, make, openTurn, pageOf, threadsOf, type Data, type KeptThread } from "./simple-store.ts";

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
    const own: Data = { threads: [], activities: 0 };
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
      const activity = data.activities + 1;
      await roundTrip();
      const ids = await good.appendMessages(key, batch, options);
      const thread = find(data, key);
      if (thread && ids.length > 0) thread.activity = data.activities = activity;
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
