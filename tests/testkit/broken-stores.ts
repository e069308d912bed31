/** Stores that each break one promise, as real ones do; the kit must name it. */
import type { ThreadKey, ThreadStore } from "../../src/index.ts";
import type { InvariantName } from "../../src/lib/testkit/invariants.ts";
import { createSimpleStore, noData, type Data } from "./simple-store.ts";

export interface BrokenStore {
  name: string;
  /** The invariant that a case must name. */
  breaks: InvariantName;
  /** The case that must find the fault; the two variants of a race count as one. @default any case of the invariant */
  caughtBy?: string;
  /** The methods that are wrong: the failure must name a call of one of them. */
  faulty: string[];
  create(data: Data): ThreadStore;
}

/** The methods that a broken store has in place of the right ones. */
export type Break = (good: ThreadStore, data: Data) => Partial<ThreadStore>;

export function broken(name: string, breaks: InvariantName, change: Break): BrokenStore {
  const data = noData();
  return {
    name,
    breaks,
    faulty: Object.keys(change(createSimpleStore(data), data)),
    create: (data) => {
      const good = createSimpleStore(data);
      return { ...good, ...change(good, data) };
    },
  };
}

/** A broken store that exactly one case of the kit is there for. */
export function fault(name: string, breaks: InvariantName, caughtBy: string, change: Break): BrokenStore {
  return { ...broken(name, breaks, change), caughtBy };
}

/** A store that makes another key of each key it is given. */
export const withKeys = (good: ThreadStore, change: (text: string) => string): ThreadStore =>
  withOwnKeys(good, ({ owner, threadId }) => ({ owner: change(owner), threadId: change(threadId) }));

export function withOwnKeys(good: ThreadStore, change: (key: ThreadKey) => ThreadKey): ThreadStore {
  return {
    listMessages: (key, options) => good.listMessages(change(key), options),
    appendMessages: (key, messages, options) => good.appendMessages(change(key), messages, options),
    updateMessage: (key, id, fields) => good.updateMessage(change(key), id, fields),
    deleteMessages: (key, ids) => good.deleteMessages(change(key), ids),
    listThreads: (owner, page) => good.listThreads(change({ owner, threadId: "" }).owner, page),
    getThread: (key) => good.getThread(change(key)),
    createThread: (key, title) => good.createThread(change(key), title),
    renameThread: (key, title) => good.renameThread(change(key), title),
    deleteThread: (key) => good.deleteThread(change(key)),
    deleteOwner: (owner) => good.deleteOwner(change({ owner, threadId: "" }).owner),
  };
}

/** As long as a round trip to a database takes, in which anything may happen. */
export const roundTrip = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
