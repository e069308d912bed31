/** Keeps the calls a case makes, so that a failure can show what led to it. */
import { show } from "./expect.ts";

const longestLog = 30;

/** The calls of one case, in the order they were made. */
export class CallLog {
  #calls: { text: string; outcome: string }[] = [];
  #dropped = 0;

  /** The same store; each call of the given methods is noted under the instance's name. */
  record<Store extends object>(store: Store, instance: string, methods: readonly string[]): Store {
    const recorded: Record<string, unknown> = {};
    for (const name of methods) {
      const method: unknown = Reflect.get(store, name);
      if (typeof method !== "function") continue;
      recorded[name] = async (...args: unknown[]) => {
        const call = this.#begin(`${instance}.${name}(${args.map((argument) => show(argument)).join(", ")})`);
        try {
          const result: unknown = await Reflect.apply(method, store, args);
          call.outcome = `→ ${show(result)}`;
          return result;
        } catch (error) {
          call.outcome = `rejected: ${show(error)}`;
          throw error;
        }
      };
    }
    return Object.assign(Object.create(null), recorded);
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
