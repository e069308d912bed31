CREATE TABLE chat_threads (
  owner text NOT NULL,
  thread_id text NOT NULL,
  last_seq bigint NOT NULL,
  PRIMARY KEY (owner, thread_id)
);

CREATE TABLE chat_messages (
  owner text NOT NULL,
  thread_id text NOT NULL,
  seq bigint NOT NULL,
  id text NOT NULL,
  prompt_id text NOT NULL,
  body text NOT NULL,
  PRIMARY KEY (owner, thread_id, seq),
  FOREIGN KEY (owner, thread_id) REFERENCES chat_threads (owner, thread_id) ON DELETE CASCADE
);

CREATE UNIQUE INDEX chat_messages_owner_thread_id_id_key ON chat_messages (owner, thread_id, id);
CREATE INDEX chat_messages_owner_thread_id_prompt_id_idx ON chat_messages (owner, thread_id, prompt_id);
