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
  UNIQUE (owner, thread_id, id),
  FOREIGN KEY (owner, thread_id) REFERENCES chat_threads ON DELETE CASCADE
);

CREATE INDEX ON chat_messages (owner, thread_id, prompt_id);
