/**
 * Messages as the stores keep them: whole, as JSON text. `JSON.stringify` writes NUL and lone surrogates as escapes, so
 * any text survives in any database.
 */
import type { MessageChange, StoredMessage } from "../core/store.ts";

/** A message as JSON text, and what a database has to know of it. */
export interface WrittenMessage {
  id: string;
  promptId: string;
  isComplete: boolean;
  body: string;
}

/**
 * The messages as they are stored; of an id that is repeated, the first. Written before anything is stored, so that a message
 * that is no JSON leaves nothing of its batch.
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

/** The message of a JSON text. */
export function readMessage(json: string): StoredMessage {
  return JSON.parse(json);
}

/** The message of a JSON text with a change made; id and prompt id stay, whatever the change says. */
export function changeMessage(json: string, change: MessageChange): WrittenMessage {
  const old = readMessage(json);
  const defined: object = JSON.parse(JSON.stringify(change)); // without the fields that are undefined
  return write({ ...old, ...defined, id: old.id, promptId: old.promptId });
}
