/** The tables, for Drizzle. `drizzle-kit generate` makes the migration from them; migration.sql is what it comes to. */
import { bigint, foreignKey, index, pgTable, primaryKey, text, unique } from "drizzle-orm/pg-core";

/** A thread: the row that an append locks, and the place of its newest message. */
export const threads = pgTable(
  "chat_threads",
  {
    owner: text().notNull(),
    threadId: text("thread_id").notNull(),
    lastSeq: bigint("last_seq", { mode: "number" }).notNull(),
  },
  (thread) => [primaryKey({ columns: [thread.owner, thread.threadId] })],
);

/** A message: its place in the thread, and all of it as JSON. */
export const messages = pgTable(
  "chat_messages",
  {
    owner: text().notNull(),
    threadId: text("thread_id").notNull(),
    seq: bigint({ mode: "number" }).notNull(),
    id: text().notNull(),
    promptId: text("prompt_id").notNull(),
    // Not jsonb: it refuses NUL, and a message is to come back as it was.
    body: text().notNull(),
  },
  (message) => [
    primaryKey({ columns: [message.owner, message.threadId, message.seq] }), // serves "the last 50 messages"
    unique().on(message.owner, message.threadId, message.id),
    index().on(message.owner, message.threadId, message.promptId), // serves "what is stored of this answer"
    foreignKey({ columns: [message.owner, message.threadId], foreignColumns: [threads.owner, threads.threadId] }).onDelete("cascade"),
  ],
);
