/** A right store, plain enough to be broken in one place at a time. */
import type { StoredMessage, Thread, ThreadKey, ThreadStore } from "../../src/index.ts";

export interface KeptThread extends Thread {
  owner: string;
  activity: number;
  messages: StoredMessage[];
}

/** What a database would hold: instances on the same data are peers. */
export interface Data {
  threads: KeptThread[];
}

export const noData = (): Data => ({ threads: [] });

/** The number of the next activity of an owner. */
export const nextActivity = (data: Data, owner: string): number =>
  data.threads.reduce((last, thread) => (thread.owner === owner ? Math.max(last, thread.activity) : last), 0) + 1;

export const copyOf = <T>(value: T): T => JSON.parse(JSON.stringify(value));

export function find(data: Data, { owner, threadId }: ThreadKey): KeptThread | undefined {
  return data.threads.find((thread) => thread.owner === owner && thread.threadId === threadId);
}

export function make(data: Data, { owner, threadId }: ThreadKey, title: string): KeptThread {
  const now = Date.now();
  const made = { owner, threadId, title, createdAt: now, updatedAt: now, activity: nextActivity(data, owner), messages: [] };
  data.threads.push(made);
  return made;
}

export const listed = ({ threadId, title, createdAt, updatedAt }: Thread): Thread => ({ threadId, title, createdAt, updatedAt });

/** An owner's threads, latest activity first. */
export const threadsOf = (data: Data, owner: string): KeptThread[] =>
  data.threads.filter((thread) => thread.owner === owner).sort((a, b) => b.activity - a.activity);

/** A page of threads that are in their order already. */
export function pageOf(
  threads: readonly KeptThread[],
  limit: number,
  cursor: string | undefined,
): { threads: Thread[]; nextCursor?: string } {
  const rest = cursor === undefined ? threads : threads.filter(({ activity }) => activity < Number(cursor));
  const page = rest.slice(0, limit);
  return { threads: page.map(listed), ...(rest.length > limit && { nextCursor: String(page.at(-1)!.activity) }) };
}

/** What is not of the answer to a prompt, and whether the prompt is there and not answered. */
export function openTurn(thread: KeptThread | undefined, prompt: string): { rest: StoredMessage[]; isOpen: boolean } {
  const isOfAnswer = ({ id, promptId }: StoredMessage) => promptId === prompt && id !== prompt;
  const messages = thread?.messages ?? [];
  const isThere = messages.some(({ id }) => id === prompt);
  const isAnswered = messages.some((message) => isOfAnswer(message) && message.status === "complete");
  return { rest: messages.filter((message) => !isOfAnswer(message)), isOpen: isThere && !isAnswered };
}

export function createSimpleStore(data: Data): ThreadStore {
  return {
    async listMessages(key, { last = Infinity } = {}) {
      return copyOf((find(data, key)?.messages ?? []).slice(-last));
    },
    async appendMessages(key, messages, { title = "", replacesAnswerTo } = {}) {
      const batch = copyOf(messages);
      const found = find(data, key);
      if (replacesAnswerTo !== undefined && batch.length > 0) {
        const { rest, isOpen } = openTurn(found, replacesAnswerTo);
        if (!found || !isOpen || rest.some(({ id }) => batch.some((message) => message.id === id))) return [];
        found.messages = rest;
      }
      const known = new Set(found?.messages.map(({ id }) => id));
      const fresh = batch.filter(({ id }) => !known.has(id) && known.add(id));
      if (fresh.length === 0) return [];
      const thread = found ?? make(data, key, title);
      thread.messages.push(...fresh);
      thread.activity = nextActivity(data, key.owner);
      thread.updatedAt = Date.now();
      return fresh.map(({ id }) => id);
    },
    async updateMessage(key, id, change) {
      const message = find(data, key)?.messages.find((message) => message.id === id);
      if (message) Object.assign(message, copyOf(change), { id: message.id, promptId: message.promptId });
      return message !== undefined;
    },
    async deleteMessages(key, ids) {
      const thread = find(data, key);
      if (thread) thread.messages = thread.messages.filter(({ id }) => !ids.includes(id));
    },
    async listThreads(owner, { limit, cursor }) {
      return pageOf(threadsOf(data, owner), limit, cursor);
    },
    async getThread(key) {
      const thread = find(data, key);
      return thread && listed(thread);
    },
    async createThread(key, title) {
      return listed(find(data, key) ?? make(data, key, title));
    },
    async renameThread(key, title) {
      const thread = find(data, key);
      if (thread) thread.title = title;
      return thread !== undefined;
    },
    async deleteThread(key) {
      const thread = find(data, key);
      data.threads = data.threads.filter((other) => other !== thread);
      return thread !== undefined;
    },
    async deleteOwner(owner) {
      data.threads = data.threads.filter((thread) => thread.owner !== owner);
    },
  };
}
