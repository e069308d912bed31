/** Stores that store answers not as promised. */
import type { StoredMessage, ThreadStore } from "../../src/index.ts";
import { broken, roundTrip, type BrokenStore } from "./broken-stores.ts";
import { copyOf, find, nextActivity, openTurn } from "./simple-store.ts";

type Append = ThreadStore["appendMessages"];

/** An append that does something of its own with an answer. */
const answering = (good: ThreadStore, append: (prompt: string, ...call: Parameters<Append>) => ReturnType<Append>) => ({
  appendMessages: (async (key, messages, options) =>
    options?.replacesAnswerTo === undefined || messages.length === 0
      ? good.appendMessages(key, messages, options)
      : append(options.replacesAnswerTo, key, messages, options)) satisfies Append,
});

const isTaken = (rest: readonly StoredMessage[], messages: readonly StoredMessage[]) =>
  rest.some(({ id }) => messages.some((message) => message.id === id));

export const brokenAnswers: BrokenStore[] = [
  broken("takes an answer for any other append", "replacesAnswerTo", (good) =>
    answering(good, (_, key, messages) => good.appendMessages(key, messages)),
  ),
  broken("leaves the failed attempt where it is", "replacesAnswerTo", (good, data) =>
    answering(good, async (prompt, key, messages) => {
      const { rest, isOpen } = openTurn(find(data, key), prompt);
      return isOpen && !isTaken(rest, messages) ? good.appendMessages(key, messages) : [];
    }),
  ),
  broken("removes only what has an id of the batch", "replacesAnswerTo", (good, data) =>
    answering(good, async (prompt, key, messages, options) => {
      const before = copyOf(find(data, key)?.messages ?? []);
      const ids = await good.appendMessages(key, messages, options);
      const thread = find(data, key);
      if (thread && ids.length > 0) {
        const left = before.filter(({ id, promptId }) => promptId === prompt && id !== prompt && !ids.includes(id));
        thread.messages.splice(-ids.length, 0, ...left);
      }
      return ids;
    }),
  ),
  broken("stores an answer in the old place", "replacesAnswerTo", (good, data) =>
    answering(good, async (prompt, key, messages, options) => {
      const place = find(data, key)?.messages.findIndex(({ id, promptId }) => promptId === prompt && id !== prompt) ?? -1;
      const ids = await good.appendMessages(key, messages, options);
      const thread = find(data, key);
      if (thread && place >= 0 && ids.length > 0) thread.messages.splice(place, 0, ...thread.messages.splice(-ids.length));
      return ids;
    }),
  ),
  broken("removes the prompt with its answer", "replacesAnswerTo", (good, data) =>
    answering(good, async (prompt, key, messages, options) => {
      const ids = await good.appendMessages(key, messages, options);
      const thread = find(data, key);
      if (thread && ids.length > 0) thread.messages = thread.messages.filter(({ id }) => id !== prompt);
      return ids;
    }),
  ),
  broken("answers whether the prompt is there or not", "replacesAnswerTo", (good, data) =>
    answering(good, async (prompt, key, messages, options) =>
      find(data, key)?.messages.some(({ id }) => id === prompt)
        ? good.appendMessages(key, messages, options)
        : good.appendMessages(key, messages),
    ),
  ),
  broken("looks for the thread rather than the prompt", "replacesAnswerTo", (good, data) =>
    answering(good, async (prompt, key, messages, options) => {
      const messagesHere = find(data, key)?.messages;
      return messagesHere && !messagesHere.some(({ id }) => id === prompt)
        ? good.appendMessages(key, messages)
        : good.appendMessages(key, messages, options);
    }),
  ),
  broken("looks for the prompt in all threads", "replacesAnswerTo", (good, data) =>
    answering(good, async (prompt, key, messages, options) =>
      !find(data, key)?.messages.some(({ id }) => id === prompt) &&
      data.threads.some(({ messages }) => messages.some(({ id }) => id === prompt))
        ? good.appendMessages(key, messages)
        : good.appendMessages(key, messages, options),
    ),
  ),
  broken("rejects where the prompt is not there", "replacesAnswerTo", (good, data) =>
    answering(good, async (prompt, key, messages, options) => {
      if (!find(data, key)?.messages.some(({ id }) => id === prompt)) throw new Error("Not found");
      return good.appendMessages(key, messages, options);
    }),
  ),
  broken("rejects where the prompt is answered", "replacesAnswerTo", (good, data) =>
    answering(good, async (prompt, key, messages, options) => {
      const thread = find(data, key);
      if (thread?.messages.some(({ id }) => id === prompt) && !openTurn(thread, prompt).isOpen) throw new Error("Conflict");
      return good.appendMessages(key, messages, options);
    }),
  ),
  broken("never settles where the prompt is not there", "replacesAnswerTo", (good, data) =>
    answering(good, (prompt, key, messages, options) =>
      find(data, key)?.messages.some(({ id }) => id === prompt) ? good.appendMessages(key, messages, options) : new Promise(() => {}),
    ),
  ),
  broken("removes a failed attempt before it looks whether the answer may be stored", "replacesAnswerTo", (good, data) =>
    answering(good, async (prompt, key, messages, options) => {
      const ids = await good.appendMessages(key, messages, options);
      const thread = find(data, key);
      if (thread)
        thread.messages = thread.messages.filter(
          ({ id, promptId, status }) => promptId !== prompt || id === prompt || status === "complete" || ids.includes(id),
        );
      return ids;
    }),
  ),
  broken("replaces whole answers, too", "replacesAnswerTo", (good, data) =>
    answering(good, async (prompt, key, messages, options) => {
      const thread = find(data, key);
      if (thread && !isTaken(openTurn(thread, prompt).rest, messages)) thread.messages = openTurn(thread, prompt).rest;
      return good.appendMessages(key, messages, options);
    }),
  ),
  broken("takes only its own id for a whole answer", "replacesAnswerTo", (good, data) =>
    answering(good, async (prompt, key, messages, options) => {
      const thread = find(data, key);
      const isWhole = thread?.messages.some(({ id, status }) => status === "complete" && messages.some((message) => message.id === id));
      if (thread && !isWhole) thread.messages = openTurn(thread, prompt).rest;
      return good.appendMessages(key, messages, options);
    }),
  ),
  broken("takes only the last message for a sign of a whole answer", "replacesAnswerTo", (good, data) =>
    answering(good, async (prompt, key, messages, options) => {
      const thread = find(data, key);
      const last = thread?.messages.findLast(({ id, promptId }) => promptId === prompt && id !== prompt);
      const { rest } = openTurn(thread, prompt);
      if (thread && last?.status !== "complete" && !isTaken(rest, messages)) thread.messages = rest;
      return good.appendMessages(key, messages, options);
    }),
  ),
  broken("looks for a whole answer a round trip before it writes", "replacesAnswerTo", (good, data) =>
    answering(good, async (prompt, key, messages, options) => {
      if (!openTurn(find(data, key), prompt).isOpen) return [];
      await roundTrip();
      const thread = find(data, key);
      if (thread) thread.messages = openTurn(thread, prompt).rest;
      return good.appendMessages(key, messages, options);
    }),
  ),
  broken("looks for the prompt a moment before it writes", "replacesAnswerTo", (good, data) =>
    answering(good, async (prompt, key, messages) => {
      const { rest, isOpen } = openTurn(find(data, key), prompt);
      if (!isOpen || isTaken(rest, messages)) return [];
      await Promise.resolve();
      const thread = find(data, key);
      if (thread) thread.messages = openTurn(thread, prompt).rest;
      return good.appendMessages(key, messages);
    }),
  ),
  broken("knows the status that a message was stored with", "replacesAnswerTo", (good, data) => {
    const first = new WeakMap<StoredMessage, string>();
    const note = (messages: readonly StoredMessage[]) =>
      messages.forEach((message) => first.has(message) || first.set(message, message.status));
    return {
      async updateMessage(key, id, change) {
        note(find(data, key)?.messages ?? []);
        return good.updateMessage(key, id, change);
      },
      ...answering(good, async (prompt, key, messages) => {
        const thread = find(data, key);
        note(thread?.messages ?? []);
        const { rest } = openTurn(thread, prompt);
        const isAnswered = thread?.messages.some((message) => !rest.includes(message) && first.get(message) === "complete");
        if (!thread || !rest.some(({ id }) => id === prompt) || isAnswered || isTaken(rest, messages)) return [];
        thread.messages = rest;
        return good.appendMessages(key, messages);
      }),
    };
  }),
  broken("takes whatever was updated for whole", "replacesAnswerTo", (good, data) => {
    const updated = new WeakSet<StoredMessage>();
    return {
      async updateMessage(key, id, change) {
        const message = find(data, key)?.messages.find((message) => message.id === id);
        if (message && change.status === undefined) updated.add(message);
        return good.updateMessage(key, id, change);
      },
      ...answering(good, async (prompt, key, messages, options) =>
        find(data, key)?.messages.some((message) => message.promptId === prompt && updated.has(message))
          ? []
          : good.appendMessages(key, messages, options),
      ),
    };
  }),
  broken("takes a prompt with an updated status for an answer of itself", "replacesAnswerTo", (good, data) =>
    answering(good, async (prompt, key, messages, options) => {
      const thread = find(data, key);
      const asked = thread?.messages.find(({ id }) => id === prompt);
      if (thread && asked?.status === "failed") thread.messages = thread.messages.filter((message) => message !== asked);
      return good.appendMessages(key, messages, options);
    }),
  ),
  broken("skips the ids that are taken", "replacesAnswerTo", (good, data) =>
    answering(good, async (prompt, key, messages) => {
      const thread = find(data, key);
      const { rest, isOpen } = openTurn(thread, prompt);
      if (!thread || !isOpen) return [];
      const batch = copyOf(messages);
      thread.messages = rest;
      return good.appendMessages(key, batch);
    }),
  ),
  broken("lets an answer have the id of its prompt", "replacesAnswerTo", (good, data) =>
    answering(good, async (prompt, key, messages, options) => {
      const others = messages.filter(({ id }) => id !== prompt);
      const ids = await good.appendMessages(key, others, options);
      return others.length === messages.length || find(data, key) === undefined ? ids : [...ids, prompt];
    }),
  ),
  broken("gives the ids of an answer that it did not store", "replacesAnswerTo", (good) =>
    answering(good, async (_, key, messages, options) => {
      await good.appendMessages(key, messages, options);
      return messages.map(({ id }) => id);
    }),
  ),
  broken("remembers what belonged to a prompt after its deletion", "replacesAnswerTo", (good, data) => {
    const answered = new Set<string>();
    const note = (key: object, messages: readonly StoredMessage[]) =>
      messages.forEach(
        ({ id, promptId, status }) => id !== promptId && status === "complete" && answered.add(JSON.stringify([key, promptId])),
      );
    return {
      async appendMessages(key, messages, options) {
        if (options?.replacesAnswerTo !== undefined && answered.has(JSON.stringify([key, options.replacesAnswerTo]))) return [];
        const ids = await good.appendMessages(key, messages, options);
        note(key, find(data, key)?.messages ?? []);
        return ids;
      },
    };
  }),
  broken("removes at most 100 messages of a failed attempt", "replacesAnswerTo", (good, data) =>
    answering(good, async (prompt, key, messages, options) => {
      const before = find(data, key)?.messages.filter(({ id, promptId }) => promptId === prompt && id !== prompt) ?? [];
      const ids = await good.appendMessages(key, messages, options);
      if (ids.length > 0) find(data, key)?.messages.splice(1, 0, ...before.slice(100).filter(({ id }) => !ids.includes(id)));
      return ids;
    }),
  ),
  broken("removes the failed attempts of all threads", "isolation", (good, data) =>
    answering(good, async (prompt, key, messages, options) => {
      const ids = await good.appendMessages(key, messages, options);
      for (const thread of data.threads) if (ids.length > 0 && thread !== find(data, key)) thread.messages = openTurn(thread, prompt).rest;
      return ids;
    }),
  ),
  broken("takes an answer in any thread for one", "isolation", (good, data) =>
    answering(good, async (prompt, key, messages, options) => {
      const isAnswered = data.threads.some(({ messages }) =>
        messages.some(({ id, promptId, status }) => promptId === prompt && id !== prompt && status === "complete"),
      );
      return isAnswered ? [] : good.appendMessages(key, messages, options);
    }),
  ),
  broken("ignores the case of prompt ids", "messageIds", (good, data) =>
    answering(good, async (prompt, key, messages, options) => {
      const thread = find(data, key);
      const isOfAnswer = ({ id, promptId }: StoredMessage) => promptId.toLowerCase() === prompt.toLowerCase() && id !== promptId;
      if (thread?.messages.some((message) => isOfAnswer(message) && message.status === "complete")) return [];
      return good.appendMessages(key, messages, options);
    }),
  ),
  broken("removes a failed attempt although the answer cannot be stored", "allOrNothing", (good, data) =>
    answering(good, async (prompt, key, messages, options) => {
      const thread = find(data, key);
      if (thread && openTurn(thread, prompt).isOpen) thread.messages = openTurn(thread, prompt).rest;
      return good.appendMessages(key, messages, options);
    }),
  ),
  broken("removes a failed attempt a round trip before it stores the answer", "readers", (good, data) =>
    answering(good, async (prompt, key, messages, options) => {
      const thread = find(data, key);
      if (thread && openTurn(thread, prompt).isOpen) thread.messages = openTurn(thread, prompt).rest;
      await roundTrip();
      return good.appendMessages(key, messages, options);
    }),
  ),
  broken("stores an answer a moment before it removes the failed attempt", "readers", (good, data) =>
    answering(good, async (prompt, key, messages) => {
      const before = find(data, key)?.messages ?? [];
      const { rest, isOpen } = openTurn(find(data, key), prompt);
      if (!isOpen || isTaken(rest, messages)) return [];
      const broken = before.filter((message) => !rest.includes(message));
      const batch = copyOf(messages);
      find(data, key)!.messages = [...before, ...batch.filter(({ id }) => !broken.some((message) => message.id === id))];
      await Promise.resolve();
      find(data, key)!.messages = rest;
      return good.appendMessages(key, batch);
    }),
  ),
  broken("removes a failed attempt for an empty batch", "emptyBatch", (good, data) => ({
    async appendMessages(key, messages, options) {
      const thread = find(data, key);
      if (thread && options?.replacesAnswerTo !== undefined && messages.length === 0)
        thread.messages = openTurn(thread, options.replacesAnswerTo).rest;
      return good.appendMessages(key, messages, options);
    },
  })),
  broken("takes an append that stores nothing for activity", "activity", (good, data) => ({
    async appendMessages(key, messages, options) {
      const ids = await good.appendMessages(key, messages, options);
      const thread = find(data, key);
      if (thread) thread.activity = nextActivity(data, key.owner);
      return ids;
    },
  })),
];
