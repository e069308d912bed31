/** Stores that do half of what a call asks for. */
import type { StoredMessage, ThreadKey } from "../../src/index.ts";
import { fault, roundTrip, type BrokenStore } from "./broken-stores.ts";
import { copyOf, find, listed, openTurn, threadsOf } from "./simple-store.ts";

const times = "a thread says when it was made and when it last grew";

export const brokenHalves: BrokenStore[] = [
  fault("an answer moves no updatedAt", "threadTimes", times, (good, data) => ({
    async appendMessages(key, messages, options) {
      const before = find(data, key)?.updatedAt;
      const ids = await good.appendMessages(key, messages, options);
      if (before !== undefined && options?.replacesAnswerTo !== undefined) find(data, key)!.updatedAt = before;
      return ids;
    },
  })),
  fault("a created thread has no updatedAt", "threadTimes", times, (good, data) => ({
    async createThread(key, title) {
      const isNew = !find(data, key);
      await good.createThread(key, title);
      const thread = find(data, key)!;
      if (isNew) thread.updatedAt = 0;
      return listed(thread);
    },
  })),
  fault("an append with a known id is no activity", "activity", "an append that stores nothing is no activity", (good, data) => ({
    async appendMessages(key, messages, options) {
      const activity = find(data, key)?.activity;
      const ids = await good.appendMessages(key, messages, options);
      if (activity !== undefined && ids.length < messages.length) find(data, key)!.activity = activity;
      return ids;
    },
  })),
  fault(
    "deletes answers with their prompt, as a foreign key does",
    "deleteMessages",
    "deleting messages removes those and no others",
    (good, data) => ({
      async deleteMessages(key, ids) {
        const answers = find(data, key)?.messages.filter(({ promptId }) => ids.includes(promptId)) ?? [];
        await good.deleteMessages(key, [...ids, ...answers.map(({ id }) => id)]);
      },
    }),
  ),
  fault(
    "drops a message with the same content as one that is there",
    "appended",
    "messages that differ in nothing but their ids are all kept",
    (good, data) => ({
      async appendMessages(key, messages, options) {
        const known = new Set(find(data, key)?.messages.map(({ message }) => JSON.stringify(message)));
        const fresh = messages.filter(({ message }) => !known.has(JSON.stringify(message)) && known.add(JSON.stringify(message)));
        return good.appendMessages(key, options?.replacesAnswerTo === undefined ? fresh : messages, options);
      },
    }),
  ),
  fault(
    "takes the status of the last message for that of the answer",
    "replacesAnswerTo",
    "a prompt that is answered is not answered again",
    (good, data) => ({
      async appendMessages(key, messages, options) {
        const thread = find(data, key);
        const prompt = options?.replacesAnswerTo;
        const { rest } = openTurn(thread, prompt ?? "");
        const last = thread?.messages.findLast((message) => !rest.includes(message));
        if (prompt === undefined || !thread || last?.status === "complete") return good.appendMessages(key, messages, options);
        for (const message of thread.messages) if (!rest.includes(message)) message.status = "failed";
        return good.appendMessages(key, messages, options);
      },
    }),
  ),
  fault(
    "looks for a whole answer among messages of the assistant",
    "replacesAnswerTo",
    "a prompt that is answered is not answered again",
    (good, data) => ({
      async appendMessages(key, messages, options) {
        const thread = find(data, key);
        const prompt = options?.replacesAnswerTo;
        const { rest } = openTurn(thread, prompt ?? "");
        const answer = thread?.messages.filter((message) => !rest.includes(message)) ?? [];
        const isAnswered = answer.some(({ message, status }: StoredMessage) => message.role === "assistant" && status === "complete");
        if (prompt === undefined || !thread || isAnswered || !rest.some(({ id }) => id === prompt))
          return good.appendMessages(key, messages, options);
        if (rest.some(({ id }) => messages.some((message) => message.id === id))) return [];
        const batch = copyOf(messages);
        thread.messages = rest;
        return good.appendMessages(key, batch);
      },
    }),
  ),
  fault("makes cursors of owner and thread id", "cursor", "a cursor survives a URL unencoded", (good) => ({
    async listThreads(owner, { limit, cursor }) {
      const { threads, nextCursor } = await good.listThreads(owner, { limit, cursor: cursor?.split("_")[0] });
      const name = Buffer.from(JSON.stringify([owner, threads.at(-1)?.threadId]))
        .toString("base64url")
        .replaceAll("_", "-");
      return { threads, ...(nextCursor && { nextCursor: `${nextCursor}_${name}` }) };
    },
  })),
  fault(
    "counts a thread's messages, then skips all but the last",
    "readers",
    "a reader sees each batch whole or not at all",
    (good, data) => ({
      async listMessages(key, options) {
        if (!options?.last) return good.listMessages(key);
        const skipped = Math.max(0, (find(data, key)?.messages.length ?? 0) - options.last);
        const lengthNow = () => find(data, key)?.messages.length;
        const length = lengthNow();
        for (let turn = 0; turn < 20 && lengthNow() === length; turn++) await roundTrip(); // until another has appended
        return (await good.listMessages(key)).slice(skipped);
      },
      async appendMessages(key, messages, options) {
        const batch = copyOf(messages);
        await roundTrip();
        return good.appendMessages(key, batch, options);
      },
    }),
  ),
  fault("cuts a message off when it is updated", "whole", "a message of 1 MB is kept", (good) => ({
    async updateMessage(key, id, change) {
      const content = change.message?.content;
      if (typeof content !== "string") return good.updateMessage(key, id, change);
      return good.updateMessage(key, id, { ...change, message: { role: "user", content: content.slice(0, 100_000) } });
    },
  })),
  fault(
    "PostgreSQL: strips NUL when it updates another field",
    "whole",
    "NUL and lone surrogates in a text are kept exactly or refused",
    (good, data) => ({
      async updateMessage(key, id, change) {
        const updated = await good.updateMessage(key, id, change);
        const message = find(data, key)?.messages.find((message) => message.id === id);
        if (message && typeof message.message.content === "string") message.message.content = message.message.content.replaceAll("\0", "");
        return updated;
      },
    }),
  ),
  fault("MySQL: sorts the fields of JSON when it updates one", "whole", "fields are kept in their order", (good, data) => ({
    async updateMessage(key, id, change) {
      const updated = await good.updateMessage(key, id, change);
      const message = find(data, key)?.messages.find((message) => message.id === id);
      if (message)
        Object.assign(message, { message: Object.fromEntries(Object.entries(message.message).sort(([a], [b]) => (a < b ? -1 : 1))) });
      return updated;
    },
  })),
  fault(
    "keeps 255 characters of a created thread's title",
    "titles",
    "any title is kept exactly, or refused where it holds NUL or lone surrogates",
    (good) => ({
      createThread: (key, title) => good.createThread(key, title.slice(0, 255)),
    }),
  ),
  ...(["updateMessage", "deleteMessages", "renameThread"] as const).map((method) =>
    fault(
      `writes a thread back after ${method}, also where its owner was deleted`,
      "deleteThread",
      "no rename, update or deletion of messages brings back a thread that was deleted",
      (good, data) => ({
        [method]: async (key: ThreadKey, ...rest: never[]) => {
          const thread = find(data, key);
          const result: unknown = await Reflect.apply(good[method], good, [key, ...rest]);
          await roundTrip();
          if (thread && data.threads.every(({ owner }) => owner !== key.owner)) data.threads.push(thread);
          return result;
        },
      }),
    ),
  ),
  fault(
    "deletes an owner's threads, and of each the first 1,000 messages",
    "deleteOwner",
    "an owner of 1,050 threads is deleted whole",
    (good, data) => {
      const left = new Map<string, StoredMessage[]>();
      return {
        async deleteOwner(owner) {
          for (const { threadId, messages } of threadsOf(data, owner)) left.set(JSON.stringify([owner, threadId]), messages.slice(1_000));
          await good.deleteOwner(owner);
        },
        async listMessages(key, options) {
          const orphans = left.get(JSON.stringify([key.owner, key.threadId])) ?? [];
          return [...copyOf(orphans), ...(await good.listMessages(key, options))];
        },
      };
    },
  ),
];
