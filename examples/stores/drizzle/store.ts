/** A store over PostgreSQL with Drizzle, as an example of your own store. */
import type { MessageStore, StoredMessage, ThreadKey } from "chat-handler";
import { and, desc, eq, inArray, ne, or, sql } from "drizzle-orm";
import type { PgDatabase, PgQueryResultHKT } from "drizzle-orm/pg-core";
import { messages, threads } from "./schema.ts";

/**
 * Any Drizzle database over PostgreSQL with transactions, at PostgreSQL's default isolation level: node-postgres, postgres.js,
 * PGlite, Neon over WebSockets (not over HTTP).
 */
export type Database = PgDatabase<PgQueryResultHKT>;

/** Creates the store. The tables of schema.ts must exist. */
export function createDrizzleStore(database: Database): MessageStore {
  return {
    async listMessages(key, { last } = {}) {
      // May ignore `maxCharacters`. It saves memory in threads with large messages.
      checkKey(key);
      const newestFirst = database.select({ body: messages.body }).from(messages).where(inThread(key)).orderBy(desc(messages.seq));
      const rows = await (last === undefined ? newestFirst : newestFirst.limit(last));
      return rows.reverse().map(({ body }) => JSON.parse(body));
    },

    async appendMessages(key, batch, { replacesAnswerTo } = {}) {
      checkKey(key);
      if (replacesAnswerTo !== undefined) checkText("answered prompt id", replacesAnswerTo);
      // Validation fails before anything is stored.
      const rows = batch.map((message, place) => ({ ...key, ...asRow(message), seq: place + 1 }));
      if (rows.length === 0) return [];

      return database.transaction(async (transaction) => {
        // The thread's row is written first, so it is locked until the end. Another append to this thread waits here, and then uses
        // higher numbers. The numbers of the whole batch are reserved, so the batch stays contiguous.
        const lastSeq = sql`${threads.lastSeq} + ${rows.length}`;
        const [thread] =
          replacesAnswerTo === undefined
            ? await transaction
                .insert(threads)
                .values({ ...key, lastSeq: rows.length })
                .onConflictDoUpdate({ target: [threads.owner, threads.threadId], set: { lastSeq } })
                .returning()
            : await transaction.update(threads).set({ lastSeq }).where(isThread(key)).returning(); // never restores a deleted thread
        if (!thread) return [];

        // Read under the lock: another change of this answer is finished, or waits.
        if (replacesAnswerTo !== undefined) {
          const ids = rows.map(({ id }) => id);
          const isOfAnswer = and(inThread(key), eq(messages.promptId, replacesAnswerTo), ne(messages.id, replacesAnswerTo));
          const isTaken = and(
            inThread(key),
            inArray(messages.id, ids),
            or(ne(messages.promptId, replacesAnswerTo), eq(messages.id, replacesAnswerTo)),
          );
          const prompt = await transaction.select().from(messages).where(hasId(key, replacesAnswerTo));
          const taken = await transaction.select().from(messages).where(isTaken);
          const attempt = await transaction.select().from(messages).where(isOfAnswer);
          const isAnswered = attempt.some(({ body }) => JSON.parse(body).status === "complete");
          if (prompt.length === 0 || taken.length > 0 || isAnswered) return [];
          await transaction.delete(messages).where(isOfAnswer);
        }

        // A message whose id is already stored does not change, and its number stays unused: numbers only have to grow.
        const before = thread.lastSeq - rows.length;
        const stored = await transaction
          .insert(messages)
          .values(rows.map((row) => ({ ...row, seq: before + row.seq })))
          .onConflictDoNothing()
          .returning({ seq: messages.seq });
        return stored.map(({ seq }) => rows[seq - before - 1]!.id);
      });
    },

    async updateMessage(key, id, change) {
      checkKey(key);
      checkText("message id", id);
      return database.transaction(async (transaction) => {
        // Under the same lock: two simultaneous changes are both applied, and a change comes before or after a replacement.
        await lock(transaction, key);
        const [row] = await transaction.select({ body: messages.body }).from(messages).where(hasId(key, id));
        if (!row) return false;
        const old: StoredMessage = JSON.parse(row.body);
        const named: object = JSON.parse(JSON.stringify(change)); // without the fields that are undefined
        const body = JSON.stringify({ ...old, ...named, id: old.id, promptId: old.promptId });
        await transaction.update(messages).set({ body }).where(hasId(key, id));
        return true;
      });
    },

    async deleteMessages(key, ids) {
      checkKey(key);
      for (const id of ids) checkText("message id", id);
      if (ids.length === 0) return;
      await database.transaction(async (transaction) => {
        await lock(transaction, key);
        await transaction.delete(messages).where(and(inThread(key), inArray(messages.id, [...ids])));
      });
    },
  };
}

const isThread = ({ owner, threadId }: ThreadKey) => and(eq(threads.owner, owner), eq(threads.threadId, threadId));
const inThread = ({ owner, threadId }: ThreadKey) => and(eq(messages.owner, owner), eq(messages.threadId, threadId));
const hasId = (key: ThreadKey, id: string) => and(inThread(key), eq(messages.id, id));

/** The lock of appendMessages, so that the two never interleave. */
const lock = (transaction: Database, key: ThreadKey) => transaction.select().from(threads).where(isThread(key)).for("update");

/** The stored form of a message. JSON escapes NUL and half surrogate pairs, so it keeps any text. The ids are columns. */
function asRow(message: StoredMessage) {
  const { id, promptId } = message;
  checkText("message id", id);
  checkText("prompt id", promptId);
  return { id, promptId, body: JSON.stringify(message) };
}

function checkKey({ owner, threadId }: ThreadKey): void {
  checkText("owner", owner);
  checkText("thread id", threadId);
}

/** Rejects NUL, which PostgreSQL cannot store, and half surrogate pairs, which would all be stored as U+FFFD. */
function checkText(what: string, text: string): void {
  if (/\0|\p{Surrogate}/u.test(text)) throw new TypeError(`The ${what} has characters that PostgreSQL cannot hold`);
}
