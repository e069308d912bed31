/** Stores that take one string for another, as collations, columns, paths and drivers do. */
import type { StoredMessage, ThreadKey, ThreadStore } from "../../src/index.ts";
import { fault, withKeys, withOwnKeys, type Break, type BrokenStore } from "./broken-stores.ts";
import { find } from "./simple-store.ts";

/** A store that takes one id for another wherever it finds messages, but keeps what it was given. */
const comparing =
  (folded: (id: string) => string): Break =>
  (good, data) => {
    const known = (key: ThreadKey, id: string) => find(data, key)?.messages.find((message) => folded(message.id) === folded(id))?.id ?? id;
    return {
      async appendMessages(key, messages, options) {
        const fresh = messages.filter(({ id }) => known(key, id) === id);
        return good.appendMessages(key, fresh, options);
      },
      updateMessage: (key, id, change) => good.updateMessage(key, known(key, id), change),
      deleteMessages: (key, ids) =>
        good.deleteMessages(
          key,
          ids.map((id) => known(key, id)),
        ),
    };
  };

/** A store that removes the answers to other prompts along with those to the one. */
const removingAnswersTo =
  (isSame: (promptId: string, prompt: string) => boolean): Break =>
  (good, data) => ({
    async appendMessages(key, messages, options) {
      const ids = await good.appendMessages(key, messages, options);
      const thread = find(data, key);
      const prompt = options?.replacesAnswerTo;
      const isTaken = ({ id, promptId }: StoredMessage) => id !== promptId && promptId !== prompt && isSame(promptId, prompt!);
      if (thread && prompt !== undefined && ids.length > 0) thread.messages = thread.messages.filter((message) => !isTaken(message));
      return ids;
    },
  });

const odd = "odd thread ids are kept apart";
const oddMessages = "odd message ids are different messages";

/** What a driver does to a string, in some of the methods. */
const inMethods = (good: ThreadStore, methods: (keyof ThreadStore)[], change: (text: string) => string): Partial<ThreadStore> =>
  Object.fromEntries(methods.map((name) => [name, withKeys(good, change)[name]]));

const wellFormed = (text: string) => text.toWellFormed();
const beforeNul = (text: string) => text.split("\0")[0]!;

export const brokenIds: BrokenStore[] = [
  fault("MySQL: indexes the first 191 characters of keys", "keys", "keys that share a long beginning are kept apart", (good) =>
    withKeys(good, (text) => text.slice(0, 191)),
  ),
  fault("keeps keys in varchar(511)", "keys", "keys that share a long beginning are kept apart", (good) =>
    withKeys(good, (text) => text.slice(0, 511)),
  ),
  fault("SQL Server: cuts owner and thread id at 900 bytes together", "keys", "keys that share a long beginning are kept apart", (good) =>
    withOwnKeys(good, ({ owner, threadId }) => ({ owner, threadId: threadId.slice(0, Math.max(36, 900 - owner.length)) })),
  ),
  fault(
    "MySQL: indexes the first 255 characters of message ids",
    "messageIds",
    "message ids that share a long beginning are different messages",
    comparing((id) => id.slice(0, 255)),
  ),
  fault(
    "compares prompt ids by their first 64 characters",
    "messageIds",
    "prompt ids that share a long beginning are different prompts",
    removingAnswersTo((promptId, prompt) => promptId.slice(0, 64) === prompt.slice(0, 64)),
  ),
  fault(
    "finds answers by a range that begins with the prompt id",
    "messageIds",
    "an answer leaves those to prompts with similar ids alone",
    removingAnswersTo((promptId, prompt) => promptId.startsWith(prompt)),
  ),
  fault(
    "finds answers by LIKE",
    "messageIds",
    "an answer leaves those to prompts with similar ids alone",
    removingAnswersTo((promptId, prompt) => prompt.includes("%") && promptId.startsWith(prompt.split("%")[0]!)),
  ),
  fault("MySQL: keeps ids in 3-byte utf8", "keys", odd, (good) =>
    withKeys(good, (text) => text.replaceAll(/[\u{10000}-\u{10ffff}]/gu, "?")),
  ),
  fault(
    "MySQL: compares ids by utf8mb4_general_ci, to which all emoji are one",
    "messageIds",
    oddMessages,
    comparing((id) => id.replaceAll(/[\u{10000}-\u{10ffff}]/gu, "\ufffd")),
  ),
  fault(
    "MySQL: compares ids by a collation that ignores some characters",
    "messageIds",
    oddMessages,
    comparing((id) => (id.length > 1 ? id.replaceAll(/\u00ad|\u200b|\ufe0f/gu, "") : id)),
  ),
  fault(
    "MySQL: compares kana as a dictionary does",
    "messageIds",
    oddMessages,
    comparing((id) => id.replaceAll(/[\u30a1-\u30f6]/gu, (kana) => String.fromCharCode(kana.charCodeAt(0) - 0x60))),
  ),
  fault("reads long numbers in ids as doubles", "keys", odd, (good) =>
    withKeys(good, (text) => (/^[1-9]\d{15,}$/.test(text) ? String(Number(text)) : text)),
  ),
  fault("reads UUIDs in ids", "keys", odd, (good) => withKeys(good, (text) => (text.length === 36 ? text.toLowerCase() : text))),
  fault("puts ids into URLs", "keys", odd, (good) => withKeys(good, (text) => new URL(`http://host/${encodeURIComponent(text)}`).pathname)),
  fault("puts message ids into URLs", "messageIds", oddMessages, (good) => ({
    async updateMessage(key, id, change) {
      return good.updateMessage(key, new URL(`http://host/x/${encodeURIComponent(id)}`).pathname.slice(3) === "" ? "" : id, change);
    },
  })),
  fault("Firestore: refuses the ids . and ..", "keys", odd, (good) => ({
    async appendMessages(key, messages, options) {
      if (/^\.{1,2}$/.test(key.threadId)) throw new Error("Invalid resource path");
      return good.appendMessages(key, messages, options);
    },
  })),
  fault(
    "MongoDB: takes ids for paths of fields",
    "messageIds",
    oddMessages,
    comparing((id) => id.split(".")[0]!),
  ),
  fault(
    "DynamoDB: joins thread and message id",
    "messageIds",
    "thread and message ids that give the same text when joined are kept apart",
    (good, data) => ({
      async appendMessages(key, messages, options) {
        const joined = (threadId: string, id: string) => `${threadId}#${id}`;
        const known = new Set(
          data.threads.flatMap(({ owner, threadId, messages }) =>
            owner === key.owner ? messages.map(({ id }) => joined(threadId, id)) : [],
          ),
        );
        const fresh = messages.filter(({ id }) => !known.has(joined(key.threadId, id)));
        return good.appendMessages(key, fresh, options);
      },
    }),
  ),
  fault("LevelDB: lists whatever begins with the thread id", "keys", "threads whose ids begin alike are kept apart", (good, data) => ({
    async listMessages({ owner, threadId }, options) {
      const keys = data.threads.filter((thread) => thread.owner === owner && thread.threadId.startsWith(threadId));
      const lists = await Promise.all(keys.map((key) => good.listMessages(key)));
      return lists.flat().slice(-(options?.last ?? Infinity));
    },
  })),
  fault(
    "LevelDB: deletes messages in whatever begins with the thread id",
    "keys",
    "threads whose ids begin alike are kept apart",
    (good, data) => ({
      async deleteMessages({ owner, threadId }, ids) {
        const keys = data.threads.filter((thread) => thread.owner === owner && thread.threadId.startsWith(threadId));
        for (const key of keys) await good.deleteMessages(key, ids);
      },
    }),
  ),

  fault(
    "checks for lone surrogates in writes, not in reads",
    "keys",
    "calls with a key that cannot be held touch no other thread",
    (good) => ({
      ...inMethods(good, ["listMessages"], wellFormed),
      async appendMessages(key, messages, options) {
        if (!key.owner.isWellFormed() || !key.threadId.isWellFormed()) throw new Error("Lone surrogate");
        return good.appendMessages(key, messages, options);
      },
    }),
  ),
  fault("checks for NUL in writes, not in deletions", "keys", "calls with a key that cannot be held touch no other thread", (good) => ({
    ...inMethods(good, ["deleteMessages", "updateMessage"], beforeNul),
    async appendMessages(key, messages, options) {
      if (JSON.stringify(key).includes("\\u0000")) throw new Error("NUL");
      return good.appendMessages(key, messages, options);
    },
  })),
  fault(
    "deletes U+FFFD for a lone surrogate",
    "messageIds",
    "calls with a message id that cannot be held touch no other message",
    (good) => ({
      deleteMessages: (key, ids) => good.deleteMessages(key, ids.map(wellFormed)),
      async appendMessages(key, messages, options) {
        if (messages.some(({ id }) => !id.isWellFormed())) throw new Error("Lone surrogate");
        return good.appendMessages(key, messages, options);
      },
    }),
  ),
  fault(
    "answers U+FFFD for a lone surrogate",
    "messageIds",
    "calls with a message id that cannot be held touch no other message",
    (good) => ({
      async appendMessages(key, messages, options) {
        if (messages.some(({ id }) => !id.isWellFormed())) throw new Error("Lone surrogate");
        const prompt = options?.replacesAnswerTo;
        return good.appendMessages(key, messages, { ...options, replacesAnswerTo: prompt && wellFormed(prompt) });
      },
    }),
  ),
  ...(["getThread", "renameThread", "deleteThread", "listThreads", "deleteOwner"] as const).map((method) =>
    fault(
      `checks for lone surrogates everywhere but in ${method}`,
      "keys",
      "calls with a key that cannot be held touch no other thread, nor its title",
      (good) => ({
        ...inMethods(good, [method], wellFormed),
        async createThread(key, title) {
          if (!key.owner.isWellFormed() || !key.threadId.isWellFormed()) throw new Error("Lone surrogate");
          return good.createThread(key, title);
        },
      }),
    ),
  ),
];
