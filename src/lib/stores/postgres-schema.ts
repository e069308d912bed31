/** The PostgreSQL schema and its versions. */
import { checkOptionNames } from "../core/usage-error.ts";
import type { Migration } from "../sql/migration.ts";
import { qualifyNames, type PostgresSchemaOptions } from "../sql/postgres.ts";

/** The quoted names of the objects in the schema. */
export type PostgresNames = Record<
  "threads" | "messages" | "versions" | "nextActivity" | "appendMessages" | "deleteMessages" | "listMessages" | "listThreads",
  string
>;

/** Returns the names under a schema and a prefix. They are qualified, so they mean the same on every connection of a pool. */
export function postgresNames(options: PostgresSchemaOptions): PostgresNames {
  const name = qualifyNames(options);
  return {
    threads: name("threads"),
    messages: name("messages"),
    versions: name("versions"), // a row for each version of the schema that was applied
    nextActivity: name("next_activity"),
    appendMessages: name("append_messages"),
    deleteMessages: name("delete_messages"),
    listMessages: name("list_messages"),
    listThreads: name("list_threads"),
  };
}

/**
 * Returns the schema as SQL, for an app that runs its own migrations. Run each step once, in order, in a transaction. Otherwise call
 * the store's `migrate()`, which does the same. The role of the store needs SELECT, INSERT, UPDATE and DELETE on the tables and
 * EXECUTE on the functions.
 *
 * @throws TypeError for an unknown option or an invalid name.
 *
 * @example
 * for (const { version, name, sql } of postgresSchema()) console.log(`-- ${version}: ${name}\n${sql}`);
 */
export function postgresSchema(options: PostgresSchemaOptions = {}): Migration[] {
  checkOptionNames("postgresSchema", options, ["schema", "prefix"]);
  const { prefix = "chat_" } = options;
  const names = postgresNames(options);
  const { threads, messages, versions } = names;
  return [
    {
      version: 1,
      name: "threads and messages",
      // Bodies are text, because jsonb refuses some of the JSON that models and people write (NUL, half surrogate pairs). So whatever a
      // statement searches for is a column beside the body.
      sql: `
CREATE TABLE ${versions} (version integer PRIMARY KEY);
CREATE TABLE ${threads} (
  key bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  owner text COLLATE "C" NOT NULL,
  thread_id text COLLATE "C" NOT NULL,
  title text NOT NULL,
  created_at bigint NOT NULL,
  updated_at bigint NOT NULL,
  activity bigint NOT NULL,
  last_seq bigint NOT NULL DEFAULT 0,
  UNIQUE (owner, thread_id)
);
CREATE TABLE ${messages} (
  thread bigint NOT NULL REFERENCES ${threads} (key) ON DELETE CASCADE,
  seq bigint NOT NULL,
  id text COLLATE "C" NOT NULL,
  prompt_id text COLLATE "C" NOT NULL,
  complete boolean NOT NULL,
  body text NOT NULL,
  PRIMARY KEY (thread, seq),
  UNIQUE (thread, id)
);
CREATE INDEX "${prefix}answers_by_prompt" ON ${messages} (thread, prompt_id) WHERE id <> prompt_id;
${nextActivity(names)}
${appendMessages(names)}
${deleteMessages(names)}
${listMessages(names)}
INSERT INTO ${versions} VALUES (1);
`,
    },
    {
      version: 2,
      name: "threads by latest activity",
      sql: `
CREATE INDEX "${prefix}threads_by_activity" ON ${threads} (owner, activity, (${hashOf("thread_id")}));
${listThreads(names)}
INSERT INTO ${versions} VALUES (2);
`,
    },
  ];
}

/**
 * Appends a batch with one statement of the client. It is a function because of READ COMMITTED: each statement in a function sees all
 * that was committed before that statement began. So the statements after the lock see what its last holder did. The parts of
 * one plain statement would all see the moment before the wait.
 *
 * The batch is a JSON array of `[id, prompt id, complete, body]`. The body is text: its escapes are not resolved here. The function
 * returns the positions of the stored messages in the batch, from 1, as a JSON array.
 *
 * It locks the messages of the answer that it reads. So it waits for an update that may make the answer complete.
 */
function appendMessages({ threads, messages, nextActivity, appendMessages }: PostgresNames): string {
  return `CREATE FUNCTION ${appendMessages}(p_owner text, p_thread_id text, p_title text, p_now bigint, p_answers text, p_batch text)
RETURNS text LANGUAGE plpgsql AS $function$
DECLARE
  v_thread bigint;
  v_last bigint;
  v_id text;
  v_is_whole boolean;
  v_stored text;
BEGIN
  LOOP
    SELECT key, last_seq INTO v_thread, v_last FROM ${threads}
    WHERE owner = p_owner AND thread_id = p_thread_id FOR NO KEY UPDATE;
    EXIT WHEN FOUND;
    IF p_answers IS NOT NULL THEN RETURN '[]'; END IF;
    INSERT INTO ${threads} (owner, thread_id, title, created_at, updated_at, activity)
    VALUES (p_owner, p_thread_id, p_title, p_now, p_now, 0)
    ON CONFLICT (owner, thread_id) DO NOTHING;
  END LOOP;

  IF p_answers IS NOT NULL THEN
    PERFORM FROM ${messages} WHERE thread = v_thread AND id = p_answers;
    IF NOT FOUND THEN RETURN '[]'; END IF;

    FOR v_id IN SELECT message->>0 FROM json_array_elements(p_batch::json) AS batch (message) LOOP
      PERFORM FROM ${messages} WHERE thread = v_thread AND id = v_id AND (id = p_answers OR prompt_id <> p_answers);
      IF FOUND THEN RETURN '[]'; END IF;
    END LOOP;

    SELECT bool_or(complete) INTO v_is_whole
    FROM (SELECT complete FROM ${messages} WHERE thread = v_thread AND prompt_id = p_answers AND id <> prompt_id FOR UPDATE) AS answer;
    IF v_is_whole THEN RETURN '[]'; END IF;
    IF NOT v_is_whole THEN DELETE FROM ${messages} WHERE thread = v_thread AND prompt_id = p_answers AND id <> prompt_id; END IF;
  END IF;

  WITH stored AS (
    INSERT INTO ${messages} AS m (thread, seq, id, prompt_id, complete, body)
    SELECT v_thread, v_last + place, message->>0, message->>1, (message->>2)::boolean, message->>3
    FROM json_array_elements(p_batch::json) WITH ORDINALITY AS batch (message, place)
    ON CONFLICT (thread, id) DO NOTHING
    RETURNING m.seq - v_last AS place
  ), touched AS (
    UPDATE ${threads}
    SET last_seq = last_seq + json_array_length(p_batch::json), updated_at = p_now, activity = ${nextActivity}(p_owner)
    WHERE key = v_thread AND EXISTS (SELECT FROM stored)
  )
  SELECT coalesce(json_agg(place ORDER BY place), '[]')::text INTO v_stored FROM stored;
  RETURN v_stored;
END
$function$;`;
}

/**
 * Deletes messages under the lock of the thread's row, like an append. It updates the row and does not only lock it: under REPEATABLE
 * READ, an append that waited then fails with a serialization error and is retried.
 */
function deleteMessages({ threads, messages, deleteMessages }: PostgresNames): string {
  return `CREATE FUNCTION ${deleteMessages}(p_owner text, p_thread_id text, p_ids text)
RETURNS void LANGUAGE plpgsql AS $function$
DECLARE
  v_thread bigint;
  v_id text;
BEGIN
  UPDATE ${threads} SET last_seq = last_seq WHERE owner = p_owner AND thread_id = p_thread_id RETURNING key INTO v_thread;
  FOR v_id IN SELECT json_array_elements_text(p_ids::json) LOOP
    DELETE FROM ${messages} WHERE thread = v_thread AND id = v_id;
  END LOOP;
END
$function$;`;
}

/**
 * Returns the newest messages, newest first. Sorting is switched off: if the planner does not know that a thread is long (old statistics,
 * one long thread among short ones), it would read and sort the whole thread instead of the end of the index.
 *
 * With `p_bytes`, it returns messages until they have so many bytes. PostgreSQL knows the size of a body without reading it.
 */
function listMessages({ threads, messages, listMessages }: PostgresNames): string {
  return `CREATE FUNCTION ${listMessages}(p_owner text, p_thread_id text, p_last bigint, p_bytes bigint)
RETURNS SETOF text LANGUAGE plpgsql STABLE SET enable_sort TO off AS $function$
DECLARE
  v_thread bigint;
BEGIN
  SELECT key INTO v_thread FROM ${threads} WHERE owner = p_owner AND thread_id = p_thread_id;
  IF p_bytes IS NULL OR p_bytes > (SELECT coalesce(sum(size), 0) FROM (
    SELECT octet_length(body) AS size FROM ${messages} WHERE thread = v_thread ORDER BY seq DESC LIMIT p_last
  ) AS newest) THEN
    RETURN QUERY SELECT body FROM ${messages} WHERE thread = v_thread ORDER BY seq DESC LIMIT p_last;
  ELSE
    RETURN QUERY SELECT body FROM (
      SELECT seq, body, sum(octet_length(body)) OVER (ORDER BY seq DESC ROWS UNBOUNDED PRECEDING) - octet_length(body) AS newer
      FROM (SELECT seq, body FROM ${messages} WHERE thread = v_thread ORDER BY seq DESC LIMIT p_last) AS newest
    ) AS sized WHERE newer < p_bytes ORDER BY seq DESC;
  END IF;
END
$function$;`;
}

/**
 * Returns the number that comes after the activities of the owner. It is not of a sequence: a cursor must tell nothing of other owners. Two
 * calls that meet may get the same number, because a lock would make all appends of an owner wait for each other.
 */
function nextActivity({ threads, nextActivity }: PostgresNames): string {
  return `CREATE FUNCTION ${nextActivity}(p_owner text)
RETURNS bigint LANGUAGE plpgsql STABLE SET enable_sort TO off AS $function$
BEGIN
  RETURN 1 + coalesce((SELECT activity FROM ${threads} WHERE owner = p_owner ORDER BY activity DESC LIMIT 1), 0);
END
$function$;`;
}

/** Returns the SQL of the number that orders threads of equal activity. JavaScript can hold it: it has 53 bits. */
export const hashOf = (text: string): string => `hashtextextended(${text}, 0) & ${Number.MAX_SAFE_INTEGER}`;

/** Returns threads by latest activity, without a sort for the same reason. */
function listThreads({ threads, listThreads }: PostgresNames): string {
  return `CREATE FUNCTION ${listThreads}(p_owner text, p_activity bigint, p_hash bigint, p_limit bigint)
RETURNS SETOF ${threads} LANGUAGE plpgsql STABLE SET enable_sort TO off AS $function$
BEGIN
  RETURN QUERY SELECT * FROM ${threads} WHERE owner = p_owner AND (activity, ${hashOf("thread_id")}) < (p_activity, p_hash)
  ORDER BY activity DESC, ${hashOf("thread_id")} DESC LIMIT p_limit;
END
$function$;`;
}
