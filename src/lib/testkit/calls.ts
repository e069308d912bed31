/** Keeps the calls a case makes, so that a failure can show what led to it. */
import { misuse } from "../core/options-check.ts";
import { expectThat, isRecord, show } from "./expect.ts";

const longestLog = 30;

/** What the methods resolve to that give lists: a case trips over anything else before it can say what is wrong. */
const lists: Readonly<Record<string, string>> = {
  listMessages: "an array of messages",
  appendMessages: "an array of ids",
  listThreads: "{ threads: [] }",
};

/** The calls of one case, in the order they were made. */
export class CallLog {
  #calls: { text: string; outcome: string }[] = [];
  #dropped = 0;
  /** The last call that resolved to no such list, where none rejected after it. */
  misfit: string | undefined;

  /** The same store; each call of the given methods is noted under the instance's name. To call one that is not there is a mismatch. */
  record<Store extends object>(store: Store, instance: string, methods: readonly string[]): Store {
    if (!isRecord(store)) misuse(`create, peer and reopen must give a store, not ${show(store)}`);
    const recorded: Record<string, unknown> = Object.create(null);
    for (const name of methods) {
      const method: unknown = Reflect.get(store, name);
      if (typeof method !== "function") {
        // Not enumerable: Object.keys gives what is there.
        Object.defineProperty(recorded, name, { get: () => expectThat(false, `The ${instance} has no ${name}`) });
        continue;
      }
      recorded[name] = async (...args: unknown[]) => {
        const call = this.#begin(`${instance}.${name}(${args.map((argument) => show(argument)).join(", ")})`);
        try {
          const result: unknown = await Reflect.apply(method, store, args);
          call.outcome = `→ ${show(result)}`;
          const list = lists[name];
          const isList = Array.isArray(name === "listThreads" ? Object(result).threads : result);
          if (list && !isList) this.misfit = `${instance}.${name} must resolve to ${list}, not ${show(result)}`;
          return result;
        } catch (error) {
          this.misfit = undefined;
          call.outcome = `rejected: ${show(error)}`;
          throw error;
        }
      };
    }
    return recorded as Store;
  }

  #begin(text: string): { outcome: string } {
    const call = { text, outcome: "has not settled" };
    if (this.#calls.push(call) > longestLog) {
      this.#calls.shift();
      this.#dropped++;
    }
    return call;
  }

  /** One line per call; the oldest are left out of a long log. */
  lines(): string[] {
    const lines = this.#calls.map(({ text, outcome }, index) => `${this.#dropped + index + 1}. ${text} ${outcome}`);
    return this.#dropped === 0 ? lines : [`(${this.#dropped} earlier calls)`, ...lines];
  }
}
