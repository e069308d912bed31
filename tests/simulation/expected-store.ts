/** The expected content of the store, in the simplest form of the store contract. */
import type { AppendMessagesOptions, MessageChange, StoredMessage, ThreadKey } from "../../src/index.ts";
import { asJson, nameOf, type Process } from "./records.ts";

/** A stored message, and how it was stored. */
export interface ExpectedMessage {
  stored: StoredMessage;
  /** The step it was appended in. */
  readonly step: number;
  /** Whether the append took effect after its timeout. */
  readonly isLate: boolean;
  /** The process that appended it. */
  readonly process: Process;
}

/** The expected content of all threads. */
export interface ExpectedStore {
  list(thread: ThreadKey): readonly ExpectedMessage[];
  find(thread: ThreadKey, id: string): ExpectedMessage | undefined;
  append(
    thread: ThreadKey,
    messages: readonly StoredMessage[],
    options: AppendMessagesOptions | undefined,
    how: Omit<ExpectedMessage, "stored">,
  ): string[];
  update(thread: ThreadKey, id: string, change: MessageChange): boolean;
  delete(thread: ThreadKey, ids: readonly string[]): void;
  deleteThread(thread: ThreadKey): void;
}

/** Creates an empty store. */
export function createExpectedStore(): ExpectedStore {
  const threads = new Map<string, ExpectedMessage[]>();
  const list = (thread: ThreadKey): ExpectedMessage[] => threads.get(nameOf(thread)) ?? [];

  return {
    list,
    find: (thread, id) => list(thread).find(({ stored }) => stored.id === id),
    append(thread, messages, { replacesAnswerTo } = {}, how) {
      let current = list(thread);
      const has = (id: string) => current.some(({ stored }) => stored.id === id);
      if (replacesAnswerTo !== undefined && messages.length > 0) {
        if (!has(replacesAnswerTo)) return [];
        const turn = current.filter(({ stored }) => stored.promptId === replacesAnswerTo && stored.id !== replacesAnswerTo);
        current = current.filter((message) => !turn.includes(message));
        if (turn.some(({ stored }) => stored.status === "complete") || messages.some(({ id }) => has(id))) return [];
      }
      const ids: string[] = [];
      for (const message of messages) {
        if (has(message.id)) continue;
        current.push({ stored: asJson(message), ...how });
        ids.push(message.id);
      }
      threads.set(nameOf(thread), current);
      return ids;
    },
    update(thread, id, change) {
      const current = list(thread).find(({ stored }) => stored.id === id);
      if (current) current.stored = { ...current.stored, ...asJson(change) };
      return current !== undefined;
    },
    delete(thread, ids) {
      threads.set(
        nameOf(thread),
        list(thread).filter(({ stored }) => !ids.includes(stored.id)),
      );
    },
    deleteThread: (thread) => void threads.delete(nameOf(thread)),
  };
}
