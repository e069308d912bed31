/**
 * Converts messages to JSON text and back. The stores keep each message whole. `JSON.stringify` writes NUL and half surrogate pairs as
 * escapes, so any text survives in any database.
 */
import type { MessageChange, StoredMessage } from "../core/store.ts";

/** A message as JSON text, with the fields that a store searches for. */
export interface WrittenMessage {
  id: string;
  promptId: string;
  isComplete: boolean;
  body: string;
}

/**
 * Returns the messages as they are stored, and only the first one of each id. Stores call it before they change anything, so a message
 * that cannot become JSON leaves nothing of its batch behind.
 */
export function writeBatch(messages: readonly StoredMessage[]): WrittenMessage[] {
  const batch = new Map<string, WrittenMessage>();
  for (const message of messages) {
    const written = write(message);
    if (!batch.has(message.id)) batch.set(message.id, written);
  }
  return [...batch.values()];
}

function write(message: StoredMessage): WrittenMessage {
  const { id, promptId, status } = message;
  return { id, promptId, isComplete: status === "complete", body: JSON.stringify(message) };
}

/** Parses the JSON text of a message. */
export function readMessage(json: string): StoredMessage {
  return JSON.parse(json);
}

/** Returns the message with the fields of the change replaced. The ids stay, even if the change contains others. */
export function changeMessage(json: string, change: MessageChange): WrittenMessage {
  const old = readMessage(json);
  const defined: object = JSON.parse(JSON.stringify(change)); // drops the fields that are undefined
  return write({ ...old, ...defined, id: old.id, promptId: old.promptId });
}
