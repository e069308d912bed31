/** Threads in LevelDB: a store over a key-value database, which has sorted keys and atomic batches but no transactions. */
import type { MessageStore, StoredMessage, ThreadKey } from "chat-handler";
import type { ClassicLevel } from "classic-level";

/**
 * Makes the store. LevelDB belongs to one process, so what may not meet waits for its turn in this process. Make one store for each
 * database.
 */
export function createLevelStore(database: ClassicLevel): MessageStore {
  const inTurn = createTurns();
  // Written to the disk before a call resolves: without this, a power failure loses the last moments.
  const durable = { sync: true };

  const messageOf = async (key: string): Promise<StoredMessage | undefined> => {
    const body = await database.get(key);
    return body === undefined ? undefined : JSON.parse(body);
  };

  /** The key of the message with this id, if the thread has one. */
  const find = (thread: string, id: string): Promise<string | undefined> => database.get(idKey(thread, id));

  async function lastPlace(thread: string): Promise<number> {
    const [last] = await database.keys({ ...messagesOf(thread), reverse: true, limit: 1 }).all();
    return last === undefined ? 0 : Number(last.slice(-placeDigits));
  }

  /** The keys under which a message is kept: the message itself, its place by its id, and its place by its prompt. */
  const keysOf = (thread: string, key: string, { id, promptId }: StoredMessage) => [
    key,
    idKey(thread, id),
    promptKey(thread, promptId, key),
  ];

  return {
    async listMessages(key, { last = -1, maxCharacters = Infinity } = {}) {
      // A read is a snapshot from its start, so it sees each batch whole or not at all. -1 is no limit.
      const newestFirst: string[] = [];
      let characters = 0;
      for await (const body of database.values({ ...messagesOf(threadOf(key)), reverse: true, limit: last })) {
        newestFirst.push(body);
        if ((characters += body.length) >= maxCharacters) break;
      }
      return newestFirst.reverse().map((body) => JSON.parse(body));
    },

    async appendMessages(key, messages, { replacesAnswerTo } = {}) {
      const thread = threadOf(key);
      // All that can fail here fails before anything is stored, and later changes of the messages change nothing.
      // Of an id that is repeated, the first counts.
      const written = new Map<string, string>();
      for (const message of messages) if (!written.has(message.id)) written.set(message.id, JSON.stringify(message));
      const batch = [...written.values()].map((body) => ({ body, message: JSON.parse(body) as StoredMessage }));
      if (batch.length === 0) return [];

      return inTurn(thread, async () => {
        const replaced = new Map<string, StoredMessage>();
        if (replacesAnswerTo !== undefined) {
          if ((await find(thread, replacesAnswerTo)) === undefined) return [];
          for (const messageKey of await database.values(messagesOfPrompt(thread, replacesAnswerTo)).all()) {
            const message = (await messageOf(messageKey))!;
            if (message.id === replacesAnswerTo) continue; // the prompt itself
            if (message.status === "complete") return [];
            replaced.set(messageKey, message);
          }
        }

        const found = await database.getMany(batch.map(({ message }) => idKey(thread, message.id)));
        const isNew = batch.map((_, index) => found[index] === undefined || replaced.has(found[index]));
        if (replacesAnswerTo !== undefined && isNew.includes(false)) return [];
        const added = batch.filter((_, index) => isNew[index]);

        // One batch, so all or nothing. Places only have to grow.
        const write = database.batch();
        for (const [messageKey, message] of replaced) for (const stale of keysOf(thread, messageKey, message)) write.del(stale);
        let place = await lastPlace(thread);
        for (const { body, message } of added) {
          const [messageKey, byId, byPrompt] = keysOf(thread, placeKey(thread, ++place), message) as [string, string, string];
          write.put(messageKey, body).put(byId, messageKey).put(byPrompt, messageKey);
        }
        await write.write(durable);
        return added.map(({ message }) => message.id);
      });
    },

    async updateMessage(key, id, change) {
      const thread = threadOf(key);
      const named: object = JSON.parse(JSON.stringify(change)); // without the fields that are undefined
      return inTurn(thread, async () => {
        const messageKey = await find(thread, id);
        if (messageKey === undefined) return false;
        const old = (await messageOf(messageKey))!;
        await database.put(messageKey, JSON.stringify({ ...old, ...named, id: old.id, promptId: old.promptId }), durable);
        return true;
      });
    },

    async deleteMessages(key, ids) {
      const thread = threadOf(key);
      const all = [...ids];
      await inTurn(thread, async () => {
        const write = database.batch();
        for (const id of new Set(all)) {
          const messageKey = await find(thread, id);
          if (messageKey === undefined) continue;
          for (const stale of keysOf(thread, messageKey, (await messageOf(messageKey))!)) write.del(stale);
        }
        await write.write(durable);
      });
    },
  };
}

// Names are written as JSON, and parts of a key are joined by NUL, which JSON never contains. So no two names meet in one key, and no
// thread's keys are among another's. JSON also escapes halves of surrogate pairs, which LevelDB's UTF-8 cannot hold.
const threadOf = ({ owner, threadId }: ThreadKey): string => JSON.stringify([owner, threadId]);

const placeDigits = 16;
const placeKey = (thread: string, place: number): string => `${thread}\0message\0${String(place).padStart(placeDigits, "0")}`;
const idKey = (thread: string, id: string): string => `${thread}\0id\0${JSON.stringify(id)}`;
const promptKey = (thread: string, promptId: string, messageKey: string): string =>
  `${thread}\0prompt\0${JSON.stringify(promptId)}\0${messageKey.slice(-placeDigits)}`;

/** The keys that begin so: those up to the same text with the character that comes after NUL. */
const beginningWith = (text: string) => ({ gt: `${text}\0`, lt: `${text}\u0001` });
const messagesOf = (thread: string) => beginningWith(`${thread}\0message`);
const messagesOfPrompt = (thread: string, promptId: string) => beginningWith(`${thread}\0prompt\0${JSON.stringify(promptId)}`);

/** Lets the work of a thread run one after the other, in the order of the calls. */
function createTurns() {
  const last = new Map<string, Promise<unknown>>();
  return async function inTurn<T>(thread: string, work: () => Promise<T>): Promise<T> {
    const before = last.get(thread);
    const mine = (before ?? Promise.resolve()).then(work, work);
    last.set(thread, mine);
    try {
      return await mine;
    } finally {
      if (last.get(thread) === mine) last.delete(thread);
    }
  };
}
