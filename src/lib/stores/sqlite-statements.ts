/** The SQL statements of the SQLite store. */
import type { SqliteTables } from "./sqlite-schema.ts";

/** Each statement, with its values in order. */
export interface SqliteStatements {
  /** name */
  hasTable: string;
  version: string;

  /** owner, thread id */
  findThread: string;
  /** owner, thread id */
  getThread: string;
  /** owner, activity that all are below, how many */
  listThreads: string;
  /** owner, thread id, title, now, now, owner */
  insertThread: string;
  /** now, owner, key */
  touchThread: string;
  /** title, key */
  renameThread: string;
  /** key */
  deleteThread: string;
  /** owner */
  deleteThreadsOf: string;

  /** owner, thread id, how many (-1: all) */
  listMessages: string;
  /** owner, thread id, how many (-1: all). Returns the bytes of the newest messages. */
  sumSizes: string;
  /** owner, thread id, owner, thread id, how many (-1: all), bytes */
  listWithin: string;
  /** key, id */
  getMessage: string;
  /** key, prompt id. Returns the messages of its answer. */
  getAnswer: string;
  /** key, id, prompt id, 1 if complete, body. Returns a row if the id is new. */
  insertMessage: string;
  /** 1 if complete, body, seq */
  updateMessage: string;
  /** key, id */
  deleteMessage: string;
  /** key */
  deleteMessages: string;
  /** owner */
  deleteMessagesOf: string;
}

/** Returns the statements for the given tables. */
export function sqliteStatements({ threads, messages, versions }: SqliteTables): SqliteStatements {
  const nextActivity = `(SELECT coalesce(max(activity), 0) + 1 FROM ${threads} WHERE owner = ?)`;
  const ofThread = `thread = (SELECT key FROM ${threads} WHERE owner = ? AND thread_id = ?)`;
  const sizes = `SELECT seq, octet_length(body) AS size FROM ${messages} WHERE ${ofThread} ORDER BY seq DESC LIMIT ?`;
  return {
    hasTable: "SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = ?",
    version: `SELECT max(version) AS version FROM ${versions}`,

    findThread: `SELECT key FROM ${threads} WHERE owner = ? AND thread_id = ?`,
    getThread: `SELECT * FROM ${threads} WHERE owner = ? AND thread_id = ?`,
    listThreads: `SELECT * FROM ${threads} WHERE owner = ? AND activity < ? ORDER BY activity DESC LIMIT ?`,
    insertThread: `INSERT INTO ${threads} (owner, thread_id, title, created_at, updated_at, activity)
      VALUES (?, ?, ?, ?, ?, ${nextActivity}) RETURNING key`,
    touchThread: `UPDATE ${threads} SET updated_at = ?, activity = ${nextActivity} WHERE key = ?`,
    renameThread: `UPDATE ${threads} SET title = ? WHERE key = ?`,
    deleteThread: `DELETE FROM ${threads} WHERE key = ?`,
    deleteThreadsOf: `DELETE FROM ${threads} WHERE owner = ?`,

    listMessages: `SELECT body FROM ${messages} WHERE ${ofThread} ORDER BY seq DESC LIMIT ?`,
    // The size of a body is in the header of its row: nothing is read of a body that is not returned.
    sumSizes: `SELECT sum(size) AS size FROM (${sizes})`,
    listWithin: `SELECT body FROM ${messages} WHERE ${ofThread} ORDER BY seq DESC LIMIT (
      SELECT count(*) FROM (
        SELECT sum(size) OVER (ORDER BY seq DESC ROWS UNBOUNDED PRECEDING) - size AS newer
        FROM (${sizes})
      ) WHERE newer < ?)`,
    getMessage: `SELECT seq, body FROM ${messages} WHERE thread = ? AND id = ?`,
    getAnswer: `SELECT id, complete FROM ${messages} WHERE thread = ? AND prompt_id = ? AND id <> prompt_id`,
    insertMessage: `INSERT INTO ${messages} (thread, id, prompt_id, complete, body) VALUES (?, ?, ?, ?, ?)
      ON CONFLICT (thread, id) DO NOTHING RETURNING 1`,
    updateMessage: `UPDATE ${messages} SET complete = ?, body = ? WHERE seq = ?`,
    deleteMessage: `DELETE FROM ${messages} WHERE thread = ? AND id = ?`,
    deleteMessages: `DELETE FROM ${messages} WHERE thread = ?`,
    deleteMessagesOf: `DELETE FROM ${messages} WHERE thread IN (SELECT key FROM ${threads} WHERE owner = ?)`,
  };
}
