/** A rule for threads that are deleted: a prompt that waited meanwhile does not bring its thread back. */
import type { ThreadKey, ThreadStore } from "../../../src/index.ts";
import { isSame, nameOf } from "../records.ts";
import type { Entry, InstancesLedger } from "./ledger.ts";

/** The rule. */
export interface DeletionRules {
  /** Deletes a thread. */
  deleteThread(thread: ThreadKey): Promise<void>;
  /** The turn that a request began reads its thread. */
  looked(request: number): void;
  /** The turn that a request began has stored its prompt. */
  promptStored(request: number, thread: ThreadKey): Promise<void>;
}

export function createDeletionRules(ledger: InstancesLedger, store: ThreadStore): DeletionRules {
  const { requests, entries, deletions, complete, schedule, check } = ledger;
  /** In which steps each request has looked. */
  const looks = new Map<number, number[]>();

  return {
    async deleteThread(thread) {
      const messages = await store.listMessages(thread);
      await store.deleteThread(thread);
      if (messages.length > 0) deletions.push({ thread, step: schedule.step });
      for (const [key, answer] of complete) if (isSame(answer.thread, thread)) complete.delete(key);
    },

    looked: (request) => void looks.set(request, [...(looks.get(request) ?? []), schedule.step]),

    async promptStored(request, thread) {
      // An instance that crashes takes along what it knew of the thread.
      if (ledger.hasFault || ledger.hasStoreFault || ledger.hasCrash) return;
      const { instance, responseId } = requests[request]!;
      const isOwn = (entry: Entry) => entry.instance === instance && entry.responseId === responseId && isSame(entry.thread, thread);
      const entered = entries.findLast(isOwn)?.enteredAt.step ?? Infinity;
      // It looks when it has entered, and again after the wait.
      const own = looks.get(request)?.filter((step) => step > entered) ?? [];
      const [first = 0, last = 0] = [own[0], own.at(-1)];
      const deleted = deletions.find(({ thread: where, step }) => isSame(where, thread) && step > first && step < last);
      const isRevived = deleted && (await store.listMessages(thread)).length === 1;
      check(!isRevived, "a thread that is deleted while a prompt waits stays deleted", () => `${nameOf(thread)}, request ${request}`);
    },
  };
}
