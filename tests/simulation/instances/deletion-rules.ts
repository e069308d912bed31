/** A rule for threads that are deleted: a prompt that waited meanwhile does not bring its thread back. */
import type { ThreadKey, ThreadStore } from "../../../src/index.ts";
import { isSame, nameOf } from "../records.ts";
import type { Entry, InstancesLedger } from "./ledger.ts";

/** The rule. */
export interface DeletionRules {
  /** Deletes a thread. */
  deleteThread(thread: ThreadKey): Promise<void>;
  /** The turn that a request began has read its thread. */
  looked(request: number, isEmpty: boolean): void;
  /** The turn that a request began has stored its prompt. */
  promptStored(request: number, thread: ThreadKey): Promise<void>;
}

export function createDeletionRules(ledger: InstancesLedger, store: ThreadStore): DeletionRules {
  const { requests, entries, deletions, complete, schedule, check } = ledger;
  const looks: { request: number; step: number; isEmpty: boolean }[] = [];

  return {
    async deleteThread(thread) {
      const messages = await store.listMessages(thread);
      await store.deleteThread(thread);
      if (messages.length > 0) deletions.push({ thread, step: schedule.step });
      for (const [key, answer] of complete) if (isSame(answer.thread, thread)) complete.delete(key);
    },

    looked: (request, isEmpty) => void looks.push({ request, step: schedule.step, isEmpty }),

    async promptStored(request, thread) {
      // An instance that crashes takes along what it knew of the thread.
      if (ledger.hasFault || ledger.hasStoreFault || ledger.hasCrash) return;
      const { instance, responseId } = requests[request]!;
      const isOwn = (entry: Entry) => entry.instance === instance && entry.responseId === responseId && isSame(entry.thread, thread);
      const entered = entries.findLast(isOwn)?.enteredAt.step ?? Infinity;
      // It looks when it has entered, and again after the wait.
      const own = looks.filter((look) => look.request === request && look.step > entered);
      const [first, last] = [own[0], own.at(-1)];
      if (!first || !last?.isEmpty) return;
      const deleted = deletions.find(({ thread: where, step }) => isSame(where, thread) && step > first.step && step < last.step);
      const isRevived = deleted && (await store.listMessages(thread)).length === 1;
      check(!isRevived, "a thread that is deleted while a prompt waits stays deleted", () => `${nameOf(thread)}, request ${request}`);
    },
  };
}
