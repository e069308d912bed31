/**
 * The procedures of the MySQL schema. Each is one call of the store as one statement of its client, and one transaction.
 *
 * They need nothing of the connection that runs them: whatever its isolation level is, each reads what is committed at that moment, and
 * locks rows without the gaps between them. A procedure first locks the row of its thread, so all that follows sees what
 * the previous holder of the lock has done.
 */
import { checkIdentifier } from "../sql/identifier.ts";

/** Quoted names of the tables. */
export type MySqlTables = Record<"threads" | "messages" | "versions" | "activity", string>;

/** Returns the quoted names of the tables under a prefix. */
export function mysqlTables(prefix: string): MySqlTables {
  checkIdentifier("prefix", prefix);
  const name = (end: string): string => `\`${prefix}${end}\``;
  return {
    threads: name("threads"),
    messages: name("messages"),
    versions: name("versions"), // a row for each version of the schema that was applied
    activity: name("activity"), // hands out the numbers that order threads by activity, and holds no rows
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

  function procedure(end: string, parameters: string, declarations: string, body: string): MySqlProcedure {
    const name = `${prefix}${end}`;
    // The rollback at the start ends what a killed call may have left on this connection: MySQL runs no handler when it is killed.
    const create = `CREATE PROCEDURE \`${name}\`(${parameters}) SQL SECURITY INVOKER
BEGIN
${declarations}  DECLARE EXIT HANDLER FOR SQLEXCEPTION BEGIN ROLLBACK; RESIGNAL; END;
  ROLLBACK;
  SET TRANSACTION ISOLATION LEVEL READ COMMITTED;
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
  const threadRow = `SELECT thread_id, title, created_at, updated_at, activity FROM ${threads}`;
  const declareThread = "  DECLARE v_thread BIGINT;\n  DECLARE v_last BIGINT;\n";
  const lockThread = `SELECT \`key\`, last_seq INTO v_thread, v_last FROM ${threads} WHERE ${thisThread} FOR UPDATE;`;

  // MySQL has no sequences, but a counter that never gives a number twice, not even after a rollback or a restart.
  const nextActivity = `INSERT INTO ${tables.activity} () VALUES ();
    SET v_activity = LAST_INSERT_ID();
    DELETE FROM ${tables.activity} WHERE number = v_activity;`;

  // Someone else may create it at the same time: then this waits for them, changes nothing, and holds the lock of their row.
  const createThread = `${nextActivity}
    INSERT INTO ${threads} (owner_hash, thread_hash, owner, thread_id, title, created_at, updated_at, activity)
    VALUES (${hash("p_owner")}, ${hash("p_thread_id")}, p_owner, p_thread_id, p_title, p_now, p_now, v_activity)
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

  return {
    // The batch is a JSON array of `[id, prompt id, 1 if complete, body]`. The body is text: its escapes are not resolved here.
    // Returned are the places, from 1, of what was stored; or NULL if it was the whole batch, which saves a fifth of the time.
    //
    // What is stored of an answer is locked when it is looked at: an update in progress may make it complete. Whether an id of an
    // answer is taken shows after the insert, which is then rolled back. To look before costs a second parse of the batch.
    appendMessages: procedure(
      "append_messages",
      `${thread}, IN p_title ${text}, IN p_now BIGINT, IN p_answered ${text}, IN p_count BIGINT, IN p_batch ${text}`,
      `${declareThread}  DECLARE v_activity BIGINT;
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
    INSERT INTO ${messages} (thread, seq, id_hash, prompt_hash, complete, body)
    SELECT v_thread, v_last + b.place, ${hash("b.id")}, ${hash("b.prompt_id")}, b.complete, b.body
    FROM ${batch} ON DUPLICATE KEY UPDATE body = ${messages}.body;
    SELECT COUNT(*) INTO v_stored FROM ${messages} WHERE thread = v_thread AND seq > v_last;
  END IF;
  IF v_answered IS NOT NULL AND v_stored < p_count THEN
    ROLLBACK;
    SET v_thread = NULL;
  ELSEIF v_stored > 0 THEN
    ${nextActivity}
    UPDATE ${threads} SET last_seq = v_last + p_count, updated_at = p_now, activity = v_activity WHERE \`key\` = v_thread;
  END IF;

  IF v_stored = p_count THEN
    SELECT NULL AS place;
  ELSE
    SELECT seq - v_last AS place FROM ${messages} WHERE thread = v_thread AND seq > v_last ORDER BY seq;
  END IF;`,
    ),

    // Newest first: the end of the primary key, read backwards.
    listMessages: procedure(
      "list_messages",
      `${thread}, IN p_last BIGINT UNSIGNED`,
      "",
      `  SELECT body FROM ${messages} FORCE INDEX (PRIMARY) WHERE thread = ${threadKey} ORDER BY seq DESC LIMIT p_last;`,
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
  SELECT seq FROM ${messages} WHERE thread = v_thread AND seq = v_seq;`,
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
      `${declareThread}  DECLARE v_activity BIGINT;\n`,
      `  ${lockThread}
  IF v_thread IS NULL THEN
    ${createThread}
  END IF;
  ${threadRow} WHERE ${thisThread};`,
    ),

    getThread: procedure("get_thread", thread, "", `  ${threadRow} WHERE ${thisThread};`),

    listThreads: procedure(
      "list_threads",
      `IN p_owner ${text}, IN p_below BIGINT, IN p_limit BIGINT UNSIGNED`,
      "",
      `  ${threadRow} FORCE INDEX (by_activity)
  WHERE owner_hash = ${hash("p_owner")} AND activity < p_below ORDER BY activity DESC LIMIT p_limit;`,
    ),

    // Returns a row if the thread is there.
    renameThread: procedure(
      "rename_thread",
      `${thread}, IN p_title ${text}`,
      declareThread,
      `  ${lockThread}
  UPDATE ${threads} SET title = p_title WHERE \`key\` = v_thread;
  SELECT \`key\` FROM ${threads} WHERE \`key\` = v_thread;`,
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
