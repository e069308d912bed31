/** Stores that list threads not as promised. */
import type { Thread, ThreadKey, ThreadStore } from "../../src/index.ts";
import { broken, fault, type BrokenStore } from "./broken-stores.ts";
import { type KeptThread, find, listed, nextActivity, pageOf, threadsOf } from "./simple-store.ts";

/** A list made of the owner's threads in some other order. */
const ordered =
  (order: (a: KeptThread, b: KeptThread) => number) =>
  (_: ThreadStore, data: Parameters<typeof threadsOf>[0]): Partial<ThreadStore> => ({
    async listThreads(owner, { limit, cursor }) {
      const threads = data.threads.filter((thread) => thread.owner === owner).sort(order);
      const from = Number(cursor ?? 0);
      const nextCursor = from + limit < threads.length ? String(from + limit) : undefined;
      return { threads: threads.slice(from, from + limit).map(listed), nextCursor };
    },
  });

const changedList =
  (change: (list: { threads: Thread[]; nextCursor?: string | undefined }, limit: number, cursor?: string) => unknown) =>
  (good: ThreadStore) => ({
    listThreads: async (owner: string, { limit, cursor }: { limit: number; cursor?: string | undefined }) => {
      const list = await good.listThreads(owner, { limit, cursor });
      change(list, limit, cursor);
      return list;
    },
  });

const ownCursors = "a cursor is the same whatever other owners do";

const hex = (text: string): string => Buffer.from(text).toString("hex");
const unhex = (text: string): string => Buffer.from(text, "hex").toString();

export const brokenLists: BrokenStore[] = [
  broken(
    "lists threads by updatedAt",
    "activity",
    ordered((a, b) => b.updatedAt - a.updatedAt),
  ),
  broken(
    "lists threads by creation",
    "activity",
    ordered((a, b) => b.createdAt - a.createdAt),
  ),
  broken(
    "lists the oldest first",
    "activity",
    ordered((a, b) => a.activity - b.activity),
  ),
  broken(
    "lists threads by id",
    "activity",
    ordered((a, b) => (a.threadId < b.threadId ? -1 : 1)),
  ),
  broken(
    "lists threads by title",
    "activity",
    ordered((a, b) => (a.title < b.title ? -1 : 1)),
  ),
  broken(
    "pages by an offset",
    "pages",
    ordered((a, b) => b.activity - a.activity),
  ),
  broken("takes a rename for an activity", "activity", (good, data) => ({
    async renameThread(key, title) {
      const thread = find(data, key);
      if (thread) thread.activity = nextActivity(data, key.owner);
      return good.renameThread(key, title);
    },
  })),
  broken("takes an update for an activity", "activity", (good, data) => ({
    async updateMessage(key, id, change) {
      const thread = find(data, key);
      if (thread) thread.activity = nextActivity(data, key.owner);
      return good.updateMessage(key, id, change);
    },
  })),
  broken("takes no append for an activity", "activity", (good, data) => ({
    async appendMessages(key, messages, options) {
      const activity = find(data, key)?.activity;
      const ids = await good.appendMessages(key, messages, options);
      if (activity !== undefined) find(data, key)!.activity = activity;
      return ids;
    },
  })),
  broken("repeats the thread of the cursor", "pages", (good) => ({
    listThreads: (owner, { limit, cursor }) =>
      good.listThreads(owner, { limit, cursor: cursor === undefined ? cursor : String(Number(cursor) + 1) }),
  })),
  broken("skips a thread between pages", "pages", (good, data) => ({
    async listThreads(owner, { limit, cursor }) {
      return pageOf(threadsOf(data, owner).slice(cursor === undefined ? 0 : 1), limit, cursor && String(Number(cursor) - 1));
    },
  })),
  broken("pages by the time of the activity", "pages", (good, data) => ({
    async listThreads(owner, { limit, cursor }) {
      const rest = threadsOf(data, owner).filter(({ updatedAt }) => updatedAt < Number(cursor ?? Infinity));
      const page = rest.slice(0, limit);
      return { threads: page.map(listed), nextCursor: rest.length > limit ? String(page.at(-1)!.updatedAt) : undefined };
    },
  })),
  broken("loses the place of a thread that is gone", "pages", (good, data) => ({
    async listThreads(owner, { limit, cursor }) {
      const threads = threadsOf(data, owner);
      const from = cursor === undefined ? 0 : threads.findIndex(({ threadId }) => hex(threadId) === cursor) + 1;
      const page = threads.slice(from, from + limit);
      return { threads: page.map(listed), nextCursor: from + limit < threads.length ? hex(page.at(-1)!.threadId) : undefined };
    },
  })),
  broken("gives one thread too many", "pages", (good) => ({
    listThreads: (owner, { limit, cursor }) => good.listThreads(owner, { limit: limit + 1, cursor }),
  })),
  broken(
    "caps pages without a cursor",
    "pages",
    changedList((list) => {
      if (list.threads.splice(10).length > 0) delete list.nextCursor;
    }),
  ),
  broken(
    "gives a null cursor on the last page",
    "lastPage",
    changedList((list) => Object.assign(list, { nextCursor: list.nextCursor ?? null })),
  ),
  broken(
    "gives a cursor on a last page that is full",
    "lastPage",
    changedList((list, limit) => {
      if (list.threads.length === limit) list.nextCursor ??= "0";
    }),
  ),
  broken(
    "gives a cursor on an empty list",
    "lastPage",
    changedList((list) => {
      if (list.threads.length === 0) list.nextCursor = "0";
    }),
  ),
  broken("gives cursors that URLs change", "cursor", (good) => ({
    async listThreads(owner, { limit, cursor }) {
      const { threads, nextCursor } = await good.listThreads(owner, { limit, cursor: cursor && atob(cursor) });
      return { threads, ...(nextCursor && { nextCursor: btoa(nextCursor) }) };
    },
  })),
  broken("puts thread ids into cursors", "cursor", (good, data) => ({
    async listThreads(owner, { limit, cursor }) {
      const activity = cursor === undefined ? cursor : String(find(data, { owner, threadId: cursor })?.activity ?? 0);
      const list = await good.listThreads(owner, { limit, cursor: activity });
      return { threads: list.threads, ...(list.nextCursor && { nextCursor: list.threads.at(-1)!.threadId }) };
    },
  })),
  broken("believes the owner in a cursor", "foreignCursor", (good) => ({
    async listThreads(owner, { limit, cursor }) {
      const [whose = "", rest] = cursor?.split("-") ?? [];
      if (cursor !== undefined && rest === undefined) throw new Error("Bad cursor");
      const { threads, nextCursor } = await good.listThreads(cursor ? unhex(whose) : owner, { limit, cursor: rest });
      return { threads, ...(nextCursor && { nextCursor: `${hex(owner)}-${nextCursor}` }) };
    },
  })),
  broken("forgets the owner after the first page", "foreignCursor", (good, data) => ({
    async listThreads(owner, { limit, cursor }) {
      const threads = cursor === undefined ? threadsOf(data, owner) : data.threads.toSorted((a, b) => b.activity - a.activity);
      return pageOf(threads, limit, cursor);
    },
  })),
  fault("numbers the activities of all owners together", "ownCursor", ownCursors, (good, data) => {
    const number = (key: ThreadKey) => {
      const thread = find(data, key);
      if (thread) thread.activity = data.threads.reduce((last, { activity }) => Math.max(last, activity), 0) + 1;
    };
    return {
      async appendMessages(key, messages, options) {
        const ids = await good.appendMessages(key, messages, options);
        if (ids.length > 0) number(key);
        return ids;
      },
      async createThread(key, title) {
        const isNew = find(data, key) === undefined;
        const thread = await good.createThread(key, title);
        if (isNew) number(key);
        return thread;
      },
    };
  }),
  fault("puts the row number of the thread into the cursor", "ownCursor", ownCursors, (good, data) => ({
    async listThreads(owner, { limit, cursor }) {
      const { threads, nextCursor } = await good.listThreads(owner, { limit, cursor: cursor?.split("-")[0] });
      const row = data.threads.findIndex((thread) => thread.owner === owner && thread.threadId === threads.at(-1)?.threadId);
      return { threads, ...(nextCursor && { nextCursor: `${nextCursor}-${row}` }) };
    },
  })),
  fault("encrypts cursors with the number of all threads", "ownCursor", ownCursors, (good, data) => ({
    async listThreads(owner, { limit, cursor }) {
      const [size = 0, shifted = 0] = cursor?.split("-").map(Number) ?? [];
      const { threads, nextCursor } = await good.listThreads(owner, { limit, cursor: cursor && String(shifted - size) });
      const total = data.threads.length;
      return { threads, ...(nextCursor && { nextCursor: `${total}-${Number(nextCursor) + total}` }) };
    },
  })),
  broken("lists everyone's threads", "isolation", (good, data) => ({
    listThreads: async (_, { limit, cursor }) =>
      pageOf(
        data.threads.toSorted((a, b) => b.activity - a.activity),
        limit,
        cursor,
      ),
  })),
];
