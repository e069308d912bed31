/** The tables, for Drizzle. `drizzle-kit generate` created migration.sql from them. */
import { bigint, foreignKey, index, pgTable, primaryKey, text, unique } from "drizzle-orm/pg-core";

/** A thread. Its row is locked by an append, and has the number of the newest message. */
export const threads = pgTable(
  "chat_threads",
  {
    owner: text().notNull(),
    threadId: text("thread_id").notNull(),
    lastSeq: bigint("last_seq", { mode: "number" }).notNull(),
  },
  (thread) => [primaryKey({ columns: [thread.owner, thread.threadId] })],
);

/** A message: its number in the thread, and its JSON. */
export const messages = pgTable(
  "chat_messages",
  {
    owner: text().notNull(),
    threadId: text("thread_id").notNull(),
    seq: bigint({ mode: "number" }).notNull(),
    id: text().notNull(),
    promptId: text("prompt_id").notNull(),
    // Not jsonb, which rejects NUL and does not keep a message exactly.
    body: text().notNull(),
  },
  (message) => [
    primaryKey({ columns: [message.owner, message.threadId, message.seq] }), // finds the last 50 messages
    unique().on(message.owner, message.threadId, message.id),
    index().on(message.owner, message.threadId, message.promptId), // finds the messages of one answer
    foreignKey({ columns: [message.owner, message.threadId], foreignColumns: [threads.owner, threads.threadId] }).onDelete("cascade"),
  ],
);
