CREATE TABLE chat_messages (
  owner TEXT NOT NULL,
  thread_id TEXT NOT NULL,
  seq INTEGER NOT NULL,
  id TEXT NOT NULL,
  prompt_id TEXT NOT NULL,
  body TEXT NOT NULL,
  PRIMARY KEY (owner, thread_id, seq), -- serves "the last 50 messages"
  UNIQUE (owner, thread_id, id)
);

-- Finds the messages of one answer.
CREATE INDEX chat_messages_by_prompt ON chat_messages (owner, thread_id, prompt_id);
