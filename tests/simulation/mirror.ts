/** What must be stored, kept in the plainest way: what the store contract says, and nothing clever. */
import type { AppendMessagesOptions, MessageChange, StoredMessage, ThreadKey } from "../../src/index.ts";
import { asJson, nameOf, type Process } from "./records.ts";

/** A stored message and how it came to be. */
export interface Kept {
  stored: StoredMessage;
  /** The step it was appended in. */
  readonly step: number;
  /** Whether the store did it after its caller had given up. */
  readonly isLate: boolean;
  /** The process that appended it. */
  readonly process: Process;
}

/** The expected content of all threads. */
export interface Mirror {
  list(thread: ThreadKey): readonly Kept[];
  find(thread: ThreadKey, id: string): Kept | undefined;
  append(
    thread: ThreadKey,
    messages: readonly StoredMessage[],
    options: AppendMessagesOptions | undefined,
    how: Omit<Kept, "stored">,
  ): string[];
  update(thread: ThreadKey, id: string, change: MessageChange): boolean;
  delete(thread: ThreadKey, ids: readonly string[]): void;
  deleteThread(thread: ThreadKey): void;
}

/** Nothing stored yet. */
export function createMirror(): Mirror {
  const threads = new Map<string, Kept[]>();
  const list = (thread: ThreadKey): Kept[] => threads.get(nameOf(thread)) ?? [];

  return {
    list,
    find: (thread, id) => list(thread).find(({ stored }) => stored.id === id),
    append(thread, messages, { replacesAnswerTo } = {}, how) {
      let kept = list(thread);
      const has = (id: string) => kept.some(({ stored }) => stored.id === id);
      if (replacesAnswerTo !== undefined && messages.length > 0) {
        if (!has(replacesAnswerTo)) return [];
        const turn = kept.filter(({ stored }) => stored.promptId === replacesAnswerTo && stored.id !== replacesAnswerTo);
        kept = kept.filter((message) => !turn.includes(message));
        if (turn.some(({ stored }) => stored.status === "complete") || messages.some(({ id }) => has(id))) return [];
      }
      const ids: string[] = [];
      for (const message of messages) {
        if (has(message.id)) continue;
        kept.push({ stored: asJson(message), ...how });
        ids.push(message.id);
      }
      threads.set(nameOf(thread), kept);
      return ids;
    },
    update(thread, id, change) {
      const kept = list(thread).find(({ stored }) => stored.id === id);
      if (kept) kept.stored = { ...kept.stored, ...asJson(change) };
      return kept !== undefined;
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
