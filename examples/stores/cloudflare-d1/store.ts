/** Threads in Cloudflare D1: a store over a database without interactive transactions. */
import type { MessageStore, StoredMessage, ThreadKey } from "chat-handler";

/** The part of a D1 binding that the store uses, in the forms of `D1Database` of @cloudflare/workers-types. */
export interface Database {
  prepare(sql: string): Statement;
  batch(statements: Statement[]): Promise<Result[]>;
}

/** The part of `D1PreparedStatement` that the store uses. */
export interface Statement {
  bind(...values: (string | number | null)[]): Statement;
  run(): Promise<Result>;
}

/** The result of a statement. */
export interface Result {
  results: unknown[];
  meta: { changes: number };
}

const inThread = "owner = ?1 AND thread_id = ?2";

const listing = `SELECT body FROM chat_messages WHERE ${inThread} ORDER BY seq DESC LIMIT ?3`;

// An append is two statements in one transaction, each with the same condition. The messages that the first one removes do not
// change the condition. Without a prompt to answer (?3 is NULL), the first one removes nothing.
const ofAnswer = `${inThread} AND prompt_id = ?3 AND id <> ?3`;
const isAllowed = `(?3 IS NULL OR
    EXISTS (SELECT 1 FROM chat_messages WHERE ${inThread} AND id = ?3)
    AND NOT EXISTS (SELECT 1 FROM chat_messages WHERE ${ofAnswer} AND body ->> 'status' = 'complete')
    AND NOT EXISTS (SELECT 1 FROM chat_messages WHERE ${inThread} AND NOT (${ofAnswer}) AND id IN (SELECT value ->> 'id' FROM json_each(?4))))`;

const removing = `DELETE FROM chat_messages WHERE ${ofAnswer} AND ${isAllowed}`;

// D1 runs one transaction after the other, so the next append uses higher numbers. A message whose id is already stored does
// not change, and its number stays unused: numbers only have to grow.
const appending = `
  INSERT INTO chat_messages (owner, thread_id, seq, id, prompt_id, body)
  SELECT ?1, ?2, (SELECT coalesce(max(seq), 0) FROM chat_messages WHERE ${inThread}) + key + 1, value ->> 'id', value ->> 'promptId', value
  FROM json_each(?4)
  WHERE ${isAllowed}
  ON CONFLICT (owner, thread_id, id) DO NOTHING
  RETURNING id`;

const finding = `SELECT body FROM chat_messages WHERE ${inThread} AND id = ?3`;

const swapping = `UPDATE chat_messages SET body = ?5 WHERE ${inThread} AND id = ?3 AND body = ?4`;

const deleting = `DELETE FROM chat_messages WHERE ${inThread} AND id IN (SELECT value FROM json_each(?3))`;

/** Creates a store from a D1 binding: `createD1Store(env.DB)`. The table of schema.sql must exist. */
export function createD1Store(database: Database): MessageStore {
  const run = (sql: string, ...values: (string | number | null)[]) =>
    database
      .prepare(sql)
      .bind(...values)
      .run();

  async function bodies(sql: string, ...values: (string | number | null)[]): Promise<string[]> {
    const { results } = await run(sql, ...values);
    return results.map((row) => (row as { body: string }).body);
  }

  return {
    async listMessages(key, { last } = {}) {
      // May ignore `maxCharacters`. It saves memory in threads with large messages.
      const newestFirst = await bodies(listing, ...names(key), last ?? -1); // in SQLite, -1 means no limit
      return newestFirst.reverse().map((body) => JSON.parse(body));
    },

    async appendMessages(key, messages, { replacesAnswerTo } = {}) {
      const prompt = replacesAnswerTo === undefined ? null : checked("answered prompt id", replacesAnswerTo);
      for (const { id, promptId } of messages) {
        checked("message id", id);
        checked("prompt id", promptId);
      }
      if (messages.length === 0) return [];
      const values = [...names(key), prompt, JSON.stringify(messages)];
      const [, stored] = await database.batch([removing, appending].map((sql) => database.prepare(sql).bind(...values)));
      return stored!.results.map((row) => (row as { id: string }).id);
    },

    async updateMessage(key, id, change) {
      const message = [...names(key), checked("message id", id)];
      for (;;) {
        const [body] = await bodies(finding, ...message);
        if (body === undefined) return false;
        // There is no lock between the read and the write. The update applies only if the message is still what was read, and is
        // repeated otherwise. Each repetition means that another update has succeeded, so the loop ends.
        const { meta } = await run(swapping, ...message, body, changed(body, change));
        if (meta.changes > 0) return true;
      }
    },

    async deleteMessages(key, ids) {
      await run(deleting, ...names(key), JSON.stringify(ids.map((id) => checked("message id", id))));
    },
  };
}

function changed(body: string, change: object): string {
  const old: StoredMessage = JSON.parse(body);
  const named: object = JSON.parse(JSON.stringify(change)); // without the fields that are undefined
  return JSON.stringify({ ...old, ...named, id: old.id, promptId: old.promptId });
}

const names = ({ owner, threadId }: ThreadKey): [owner: string, threadId: string] => [
  checked("owner", owner),
  checked("thread id", threadId),
];

/** Rejects NUL, where SQL functions end a text, and half surrogate pairs, which would all be stored as U+FFFD. */
function checked(what: string, text: string): string {
  if (/\0|\p{Surrogate}/u.test(text)) throw new TypeError(`The ${what} has characters that D1 cannot hold`);
  return text;
}
