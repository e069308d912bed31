/**
 * Messages as the stores keep them: whole, as JSON text. `JSON.stringify` writes NUL and lone surrogates as escapes, so
 * any text survives in any database.
 */
import type { MessageChange, StoredMessage } from "../store.ts";

/**
 * The JSON text of each message by its id; of an id that is repeated, the first. Made before anything is stored, so that a
 * message that is no JSON leaves nothing of its batch.
 */
export function writeBatch(messages: readonly StoredMessage[]): Map<string, string> {
  const batch = new Map<string, string>();
  for (const message of messages) {
    const json = JSON.stringify(message);
    if (!batch.has(message.id)) batch.set(message.id, json);
  }
  return batch;
}

/** The message of a JSON text. */
export function readMessage(json: string): StoredMessage {
  return JSON.parse(json);
}

/** The JSON text with a change made; id and prompt id stay, whatever the change says. */
export function changeMessage(json: string, change: MessageChange): string {
  const old = readMessage(json);
  const defined: object = JSON.parse(JSON.stringify(change)); // without the fields that are undefined
  return JSON.stringify({ ...old, ...defined, id: old.id, promptId: old.promptId });
}
