/** A store for the handler. Each call is a step, and the plan decides how it ends. */
import { isDeepStrictEqual } from "node:util";
import type {
  AppendMessagesOptions,
  ListMessagesOptions,
  MessageChange,
  MessageStore,
  StoredMessage,
  ThreadKey,
  ThreadStore,
} from "../../src/index.ts";
import { currentRequest } from "./current-request.ts";
import type { StoreFault } from "./plan.ts";
import type { ExpectedMessage } from "./expected-store.ts";
import { asJson, type Process } from "./records.ts";
import type { Reference } from "./reference.ts";
import type { Schedule } from "./schedule.ts";

/** The handler's `timeouts.store`, in milliseconds. A call takes effect within twice this time, or never. */
const storeTimeout = 1000;

/** What a call does, to the store and to the expected store. */
interface Call<T> {
  method: string;
  thread: ThreadKey;
  /** For the trace. */
  what: string;
  act(): Promise<T>;
  expect(how: Omit<ExpectedMessage, "stored">): T;
  /** Informs the reference model. */
  done?(result: T, isLate: boolean): void;
}

/** Creates the store of one process over the shared one. */
export function createScheduledStore(
  inner: ThreadStore,
  process: Process,
  faults: () => StoreFault,
  schedule: Schedule,
  reference: Reference,
): MessageStore {
  const { ledger, stored } = reference;
  const { expectedStore } = ledger;

  const perform = async <T>({ method, thread, what, act, expect, done }: Call<T>, isLate: boolean): Promise<T> => {
    const result = await act();
    const expected = expect({ step: schedule.step, isLate, process });
    if (!isDeepStrictEqual(result, expected)) {
      schedule.break("the store keeps its contract", `${method} ${what} gave ${JSON.stringify(result)}, not ${JSON.stringify(expected)}`);
    }
    if (isLate && method !== "listMessages") ledger.incident("late write", thread);
    done?.(result, isLate);
    return result;
  };

  const call = <T>(call: Call<T>): Promise<T> => {
    ledger.storeCalls++;
    const fault = faults();
    const name = `store ${process.number} ${call.method} ${call.what}`;
    const refused = () => {
      ledger.incident("store fault", call.thread);
      return new Error("The store refuses.");
    };
    if (fault === "throw") throw refused();
    if (process.isDead) return new Promise(() => {});
    return new Promise<T>((resolve, reject) => {
      let isLate = false;
      let withdraw = () => {};
      const release = async () => {
        clearTimeout(timer);
        if (fault === "refuse") return reject(refused());
        const result = await perform(call, isLate);
        if (fault === "lose") reject(refused());
        else resolve(result);
      };
      const offer = () => {
        withdraw = schedule.offer(isLate ? `${name}, late` : fault === "none" ? name : `${name}: ${fault}`, release, process);
      };
      const giveUp = () => {
        isLate = true;
        ledger.incident("store fault", call.thread);
        if (fault === "never") return;
        timer = setTimeout(happen, storeTimeout - 1);
        if (fault === "late") offer();
      };
      const happen = () => {
        withdraw();
        if (process.isDead) return;
        schedule.note(`${name}, at last`);
        schedule.during(release());
      };
      let timer = setTimeout(giveUp, storeTimeout);
      if (fault !== "late" && fault !== "later" && fault !== "never") offer();
    });
  };

  // The arguments are copied at the time of the call.
  return {
    listMessages(thread: ThreadKey, options?: ListMessagesOptions) {
      const asker = currentRequest();
      const last = options?.last;
      return call<StoredMessage[]>({
        method: "listMessages",
        thread,
        what: `${show(thread)} ${last ?? "all"}`,
        act: () => inner.listMessages(thread, options),
        expect: () =>
          expectedStore
            .list(thread)
            .slice(-(last ?? Infinity))
            .map(({ stored: message }) => structuredClone(message)),
        done: () => void ledger.readsOf(asker).push({ step: schedule.step, isOfAll: last === undefined }),
      });
    },
    appendMessages(thread: ThreadKey, given: readonly StoredMessage[], options?: AppendMessagesOptions) {
      const asker = currentRequest();
      const messages = asJson(given);
      return call<string[]>({
        method: "appendMessages",
        thread,
        what: `${show(thread)} ${messages.map(({ id, status }) => `${id}:${status}`).join()}`,
        act: () => inner.appendMessages(thread, messages, options),
        expect: (how) => expectedStore.append(thread, messages, options, how),
        done: (ids, isLate) => stored.appended({ process, asker, isLate }, thread, messages, ids),
      });
    },
    updateMessage(thread: ThreadKey, id: string, given: MessageChange) {
      const change = asJson(given);
      return call<boolean>({
        method: "updateMessage",
        thread,
        what: `${show(thread)} ${id}:${change.status}`,
        act: () => inner.updateMessage(thread, id, change),
        expect: () => expectedStore.update(thread, id, change),
        done: (wasThere, isLate) => wasThere && stored.updated(process, thread, id, isLate),
      });
    },
    deleteMessages(thread: ThreadKey, given: readonly string[]) {
      const ids = [...given];
      return call<void>({
        method: "deleteMessages",
        thread,
        what: `${show(thread)} ${ids.join()}`,
        act: () => inner.deleteMessages(thread, ids),
        expect: () => expectedStore.delete(thread, ids),
      });
    },
  };
}

const show = ({ owner, threadId }: ThreadKey) => `${owner || '""'}/${threadId}`;
