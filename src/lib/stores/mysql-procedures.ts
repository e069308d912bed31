/**
 * The procedures of the MySQL schema. Each is one call of the store as one statement of its client, and one transaction.
 *
 * They need nothing of the connection that runs them: each sets its own isolation level, under which it locks rows without the gaps
 * between them. A procedure that changes messages first locks the row of its thread, so all that follows is what the previous holder of the
 * lock has left. What it then reads of that, it reads with the lock: a plain read may not see it yet, because MariaDB lets the next holder go
 * on a moment before.
 */
import { checkIdentifier } from "../sql/identifier.ts";

/** Quoted names of the tables. */
export type MySqlTables = Record<"threads" | "messages" | "versions", string>;

/** Returns the quoted names of the tables under a prefix. */
export function mysqlTables(prefix: string): MySqlTables {
  checkIdentifier("prefix", prefix);
  const name = (end: string): string => `\`${prefix}${end}\``;
  return {
    threads: name("threads"),
    messages: name("messages"),
    versions: name("versions"), // a row for each version of the schema that was applied
  };
}

/** A procedure of the schema. */
export interface MySqlProcedure {
  /** Its name, unquoted. */
  name: string;
  /** The statement that creates it. */
  create: string;
}

/** What each procedure does, as the store calls it. */
export type MySqlProcedureName =
  | "appendMessage"
  | "appendMessages"
  | "listMessages"
  | "getMessage"
  | "swapMessage"
  | "deleteMessages"
  | "createThread"
  | "getThread"
  | "listThreads"
  | "renameThread"
  | "deleteThreads";

/** Returns the SQL of a text's hash, by which the indexes find it. */
const hash = (text: string): string => `UNHEX(SHA2(${text}, 256))`;

const text = "LONGTEXT CHARACTER SET utf8mb4";

/** Returns the procedures on the given tables. */
export function mysqlProcedures(prefix: string, tables: MySqlTables): Record<MySqlProcedureName, MySqlProcedure> {
  const { threads, messages } = tables;

  function procedure(end: string, parameters: string, declarations: string, body: string, level = "READ COMMITTED"): MySqlProcedure {
    const name = `${prefix}${end}`;
    // The rollback at the start ends what a killed call may have left on this connection: MySQL runs no handler when it is killed.
    const create = `CREATE PROCEDURE \`${name}\`(${parameters}) SQL SECURITY INVOKER
BEGIN
${declarations}  DECLARE EXIT HANDLER FOR SQLEXCEPTION BEGIN ROLLBACK; RESIGNAL; END;
  ROLLBACK;
  SET TRANSACTION ISOLATION LEVEL ${level};
  START TRANSACTION;
${body}
  COMMIT;
END`;
    return { name, create };
  }

  const exactText = `${text} COLLATE utf8mb4_bin`;
  const thread = `IN p_owner ${text}, IN p_thread_id ${text}`;
  const thisThread = `owner_hash = ${hash("p_owner")} AND thread_hash = ${hash("p_thread_id")}`;
  const threadKey = `(SELECT \`key\` FROM ${threads} WHERE ${thisThread})`;
  const newest = (columns: string) =>
    `SELECT ${columns} FROM ${messages} FORCE INDEX (PRIMARY) WHERE thread = ${threadKey} ORDER BY seq DESC`;
  const threadRow = `SELECT thread_id, title, created_at, updated_at, activity, LOWER(HEX(thread_hash)) FROM ${threads}`;
  const declareThread = "  DECLARE v_thread BIGINT;\n  DECLARE v_last BIGINT;\n";
  const lockThread = `SELECT \`key\`, last_seq INTO v_thread, v_last FROM ${threads} WHERE ${thisThread} FOR UPDATE;`;

  // A new activity is one more. So it is a number among the owner's own, and a cursor tells nothing of others. Two calls that meet may get
  // the same one, because a lock would make all appends of an owner wait for each other. Then the hash of the thread id decides the order. The limit reads one entry of the index; MAX() would read them all.
  const lastActivity = `SELECT activity INTO v_activity FROM ${threads} FORCE INDEX (by_activity)
    WHERE owner_hash = ${hash("p_owner")} ORDER BY activity DESC LIMIT 1;`;

  // Someone else may create it at the same time: then this waits for them, changes nothing, and holds the lock of their row.
  const createThread = `INSERT INTO ${threads} (owner_hash, thread_hash, owner, thread_id, title, created_at, updated_at, activity)
    VALUES (${hash("p_owner")}, ${hash("p_thread_id")}, p_owner, p_thread_id, p_title, p_now, p_now, v_activity + 1)
    ON DUPLICATE KEY UPDATE title = ${threads}.title;`;

  /** The texts of a JSON array; what follows it joins the messages of the thread with these ids. */
  const join = `${messages} AS m FORCE INDEX (by_id) ON m.thread = v_thread AND m.id_hash = ${hash("b.id")}`;
  const batch = `JSON_TABLE(p_batch, '$[*]' COLUMNS (
      place FOR ORDINALITY,
      id ${text} PATH '$[0]' ERROR ON EMPTY ERROR ON ERROR,
      prompt_id ${text} PATH '$[1]' ERROR ON EMPTY ERROR ON ERROR,
      complete INT PATH '$[2]' ERROR ON EMPTY ERROR ON ERROR,
      body ${text} PATH '$[3]' ERROR ON EMPTY ERROR ON ERROR
    )) AS b`;
  const ofAnswer = "thread = v_thread AND prompt_hash = v_answered AND id_hash <> v_answered";

  /**
   * An append of `count` messages. `insert` stores those whose ids are new and sets `v_stored` to their number. Returns the places of
   * what was stored, from 1, or no rows at all and no result if that is the whole batch: to send a result costs time.
   *
   * The messages of an answer are locked when they are read: an update in progress may make the answer complete. Whether an id of an
   * answer is taken shows after the insert, which is then rolled back. To look before costs a second parse of the batch.
   *
   * What other transactions have not committed is visible, which makes the next activity several times cheaper to read: the top of the index
   * is always the newest entry. All that it reads of the thread is under the lock of the thread, so nobody else is changing it.
   */
  const append = (end: string, parameters: string, count: string, insert: string): MySqlProcedure =>
    procedure(
      end,
      `${thread}, IN p_title ${text}, IN p_now BIGINT, IN p_answered ${text}, ${parameters}`,
      `${declareThread}  DECLARE v_activity BIGINT DEFAULT 0;
  DECLARE v_answered BINARY(32) DEFAULT ${hash("p_answered")};
  DECLARE v_is_whole BOOLEAN;
  DECLARE v_stored BIGINT DEFAULT 0;
`,
      `  ${lockThread}
  IF v_answered IS NOT NULL THEN
    SELECT MAX(complete) INTO v_is_whole FROM ${messages} FORCE INDEX (by_prompt) WHERE ${ofAnswer} FOR UPDATE;
    IF v_is_whole OR NOT EXISTS (SELECT 1 FROM ${messages} WHERE thread = v_thread AND id_hash = v_answered) THEN
      SET v_thread = NULL;
    ELSEIF v_is_whole IS NOT NULL THEN
      DELETE FROM ${messages} WHERE ${ofAnswer};
    END IF;
  ELSEIF v_thread IS NULL THEN
    ${createThread}
    ${lockThread}
  END IF;

  IF v_thread IS NOT NULL THEN
    ${insert}
  END IF;
  IF v_answered IS NOT NULL AND v_stored < ${count} THEN
    ROLLBACK;
    SET v_thread = NULL;
  ELSEIF v_stored > 0 THEN
    ${lastActivity}
    UPDATE ${threads} SET last_seq = v_last + ${count}, updated_at = p_now, activity = v_activity + 1 WHERE \`key\` = v_thread;
  END IF;

  IF v_stored < ${count} THEN
    SELECT seq - v_last AS place FROM ${messages} WHERE thread = v_thread AND seq > v_last ORDER BY seq;
  END IF;`,
      "READ UNCOMMITTED",
    );

  return {
    // Most appends have one message: they need no parse of JSON, which costs a quarter of the time. An error 1062 says that its id is there.
    appendMessage: append(
      "append_message",
      `IN p_id ${text}, IN p_prompt_id ${text}, IN p_complete BOOLEAN, IN p_body ${text}`,
      "1",
      `BEGIN
      DECLARE CONTINUE HANDLER FOR 1062 SET v_stored = 0;
      SET v_stored = 1;
      INSERT INTO ${messages} (thread, seq, id_hash, prompt_hash, complete, body)
      VALUES (v_thread, v_last + 1, ${hash("p_id")}, ${hash("p_prompt_id")}, p_complete, p_body);
    END;`,
    ),

    // The batch is a JSON array of `[id, prompt id, 1 if complete, body]`. The body is text: its escapes are not resolved here.
    appendMessages: append(
      "append_messages",
      `IN p_count BIGINT, IN p_batch ${text}`,
      "p_count",
      `INSERT INTO ${messages} (thread, seq, id_hash, prompt_hash, complete, body)
    SELECT v_thread, v_last + b.place, ${hash("b.id")}, ${hash("b.prompt_id")}, b.complete, b.body
    FROM ${batch} ON DUPLICATE KEY UPDATE body = ${messages}.body;
    SELECT COUNT(*) INTO v_stored FROM ${messages} WHERE thread = v_thread AND seq > v_last;`,
    ),

    // Newest first: the end of the primary key, read backwards. All statements see the same moment. To add up sizes is several times cheaper
    // than to find where they reach a sum, and few threads need that.
    listMessages: procedure(
      "list_messages",
      `${thread}, IN p_last BIGINT UNSIGNED, IN p_bytes BIGINT`,
      "",
      `  IF p_bytes <= (SELECT SUM(size) FROM (${newest("size")} LIMIT p_last) AS newest) THEN
    SELECT COUNT(*) INTO p_last FROM (
      SELECT SUM(size) OVER (ORDER BY seq DESC ROWS UNBOUNDED PRECEDING) - size AS newer
      FROM (${newest("seq, size")} LIMIT p_last) AS newest
    ) AS sized WHERE newer < p_bytes;
  END IF;
  ${newest("body")} LIMIT p_last;`,
      "REPEATABLE READ",
    ),

    getMessage: procedure(
      "get_message",
      `${thread}, IN p_id ${text}`,
      "",
      `  SELECT body FROM ${messages} WHERE thread = ${threadKey} AND id_hash = ${hash("p_id")};`,
    ),

    // Changes a message only if it is still the one that was read, and returns a row if so.
    swapMessage: procedure(
      "swap_message",
      `${thread}, IN p_id ${text}, IN p_old ${exactText}, IN p_complete BOOLEAN, IN p_new ${text}`,
      "  DECLARE v_thread BIGINT;\n  DECLARE v_seq BIGINT;\n",
      `  SELECT thread, seq INTO v_thread, v_seq FROM ${messages}
  WHERE thread = ${threadKey} AND id_hash = ${hash("p_id")} AND body = p_old FOR UPDATE;
  UPDATE ${messages} SET complete = p_complete, body = p_new WHERE thread = v_thread AND seq = v_seq;
  SELECT v_seq FROM DUAL WHERE v_seq IS NOT NULL;`,
    ),

    deleteMessages: procedure(
      "delete_messages",
      `${thread}, IN p_ids ${text}`,
      declareThread,
      `  ${lockThread}
  DELETE m FROM JSON_TABLE(p_ids, '$[*]' COLUMNS (id ${text} PATH '$' ERROR ON EMPTY ERROR ON ERROR)) AS b STRAIGHT_JOIN ${join};`,
    ),

    createThread: procedure(
      "create_thread",
      `${thread}, IN p_title ${text}, IN p_now BIGINT`,
      `${declareThread}  DECLARE v_activity BIGINT DEFAULT 0;\n`,
      `  ${lockThread}
  IF v_thread IS NULL THEN
    ${lastActivity}
    ${createThread}
  END IF;
  ${threadRow} WHERE ${thisThread} FOR UPDATE;`,
    ),

    getThread: procedure("get_thread", thread, "", `  ${threadRow} WHERE ${thisThread};`),

    // The hash orders threads of equal activity. Only a few are: those of calls that met.
    listThreads: procedure(
      "list_threads",
      `IN p_owner ${text}, IN p_activity BIGINT, IN p_hash ${text}, IN p_limit BIGINT UNSIGNED`,
      "  DECLARE v_hash BINARY(32) DEFAULT UNHEX(p_hash);\n",
      `  ${threadRow} FORCE INDEX (by_activity)
  WHERE owner_hash = ${hash("p_owner")} AND activity <= p_activity AND (activity < p_activity OR thread_hash < v_hash)
  ORDER BY activity DESC, thread_hash DESC LIMIT p_limit;`,
    ),

    // Returns a row if the thread is there.
    renameThread: procedure(
      "rename_thread",
      `${thread}, IN p_title ${text}`,
      declareThread,
      `  ${lockThread}
  UPDATE ${threads} SET title = p_title WHERE \`key\` = v_thread;
  SELECT v_thread FROM DUAL WHERE v_thread IS NOT NULL;`,
    ),

    // Deletes a thread, or all threads of the owner if the thread id is NULL. Returns how many.
    deleteThreads: procedure(
      "delete_threads",
      thread,
      "",
      `  IF p_thread_id IS NULL THEN
    DELETE FROM ${threads} WHERE owner_hash = ${hash("p_owner")};
  ELSE
    DELETE FROM ${threads} WHERE ${thisThread};
  END IF;
  SELECT ROW_COUNT() AS deleted;`,
    ),
  };
}
