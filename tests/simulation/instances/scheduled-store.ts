/** The store of one instance. Each call is a step, or two. */
import type { MessageStore, ThreadStore } from "../../../src/index.ts";
import { currentRequest } from "../current-request.ts";
import type { Instance } from "./instance.ts";
import type { InstancesLedger } from "./ledger.ts";
import type { StoreFault } from "./plan.ts";
import type { AnswerRules } from "./answer-rules.ts";
import type { DeletionRules } from "./deletion-rules.ts";
import type { QueueRules } from "./queue-rules.ts";

export function createScheduledStore(
  inner: ThreadStore,
  instance: Instance,
  ledger: InstancesLedger,
  nextFault: () => StoreFault,
  rules: { answers: AnswerRules; queue: QueueRules; deletions: DeletionRules },
): MessageStore {
  const { schedule } = ledger;

  const call = <T>(what: string, act: () => Promise<T>): Promise<T> => {
    const fault = nextFault();
    const label = `store ${instance.number} ${what}`;
    const settled = ledger.expectAnswer("store");
    if (fault === "refuse" || fault === "lose") ledger.hasStoreFault = true;
    return new Promise((resolve, reject) => {
      const answer = (result: T) => {
        settled();
        resolve(result);
      };
      switch (fault) {
        case "none":
          instance.offer(label, () => act().then(answer));
          break;
        case "slow":
          schedule.offer(`${label} takes effect`, async () => {
            const result = await act();
            instance.offer(`${label} is answered`, () => answer(result));
          });
          break;
        case "refuse":
          instance.offer(`${label} is refused`, () => reject(new Error("The store refuses.")));
          break;
        case "lose":
          instance.offer(`${label} takes effect, and its answer is lost`, () => act().then(() => reject(new Error("The answer is lost."))));
      }
    });
  };

  return {
    listMessages(thread, options) {
      const request = currentRequest();
      return call(`list ${thread.threadId}`, async () => {
        const messages = await inner.listMessages(thread, options);
        rules.deletions.looked(request, messages.length === 0);
        return messages;
      });
    },
    appendMessages(thread, given, options) {
      const messages = structuredClone(given);
      const request = currentRequest();
      if (messages[0]?.message.role !== "user") rules.queue.answerWritten(instance, messages.at(-1)?.attempt);
      return call(`append ${thread.threadId} ${messages.map(({ id, status }) => `${id}:${status}`).join()}`, async () => {
        const ids = await inner.appendMessages(thread, messages, options);
        await rules.answers.stored(
          thread,
          messages.filter(({ id }) => ids.includes(id)),
        );
        if (ids.length > 0 && messages[0]?.message.role === "user") await rules.deletions.promptStored(request, thread);
        return ids;
      });
    },
    updateMessage: (thread, id, change) => call(`update ${id}`, () => inner.updateMessage(thread, id, change)),
    deleteMessages: (thread, ids) => call("delete", () => inner.deleteMessages(thread, ids)),
  };
}
