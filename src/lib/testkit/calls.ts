/** Records the calls of a case, so that a failure can name the calls that led to it. */
import type { StoredMessage } from "../core/store.ts";
import { throwUsageError } from "../core/usage-error.ts";
import { expectThat, isRecord, show } from "./expect.ts";

const longestLog = 30;
const mostNamed = 5;

/** The methods that resolve to a list, and which: a case fails on anything else before it can say what is wrong. */
const lists: Readonly<Record<string, string>> = {
  listMessages: "an array of messages",
  appendMessages: "an array of ids",
  listThreads: "{ threads: [] }",
};

const readingMethods: ReadonlySet<string> = new Set(["listMessages", "listThreads", "getThread"]);

interface Call {
  number: number;
  text: string;
  outcome: string;
}

/** The calls of one case, in the order in which they began. */
export class CallLog {
  #calls: Call[] = [];
  #count = 0;
  /** The latest changes with no read among them, and the latest read of each method since then. */
  #changes: Call[] = [];
  #reads = new Map<string, Call>();
  #rejected = new Map<unknown, Call>();
  /** The last call that should have resolved to a list and did not, unless a later call rejected. */
  misfit: string | undefined;

  /** Returns the same store, with each call of the given methods recorded. A call of a method that is missing is a mismatch. */
  record<Store extends object>(store: Store, instance: string, methods: readonly string[]): Store {
    if (!isRecord(store)) throwUsageError(`create, peer and reopen must return a store, not ${show(store)}`);
    const recorded: Record<string, unknown> = Object.create(null);
    for (const name of methods) {
      const method: unknown = Reflect.get(store, name);
      if (typeof method !== "function") {
        // Not enumerable: Object.keys returns the methods that exist.
        Object.defineProperty(recorded, name, { get: () => expectThat(false, `The ${instance} has no ${name}`) });
        continue;
      }
      recorded[name] = async (...args: unknown[]) => {
        const call = this.#begin(instance, name, args);
        try {
          const result: unknown = await Reflect.apply(method, store, args);
          call.outcome = `→ ${brief(result)}`;
          const list = lists[name];
          const isList = Array.isArray(name === "listThreads" ? Object(result).threads : result);
          if (list && !isList) this.misfit = `${instance}.${name} must resolve to ${list}, not ${show(result)}`;
          return result;
        } catch (error) {
          this.misfit = undefined;
          call.outcome = `rejected: ${show(error)}`;
          this.#rejected.set(error, call);
          throw error;
        }
      };
    }
    return recorded as Store;
  }

  #begin(instance: string, method: string, args: readonly unknown[]): Call {
    const text = `${instance}.${method}(${args.map(brief).join(", ")})`;
    const call = { number: ++this.#count, text, outcome: "has not settled" };
    if (readingMethods.has(method)) this.#reads.set(method, call);
    else {
      if (this.#reads.size > 0) this.#changes = [];
      this.#reads.clear();
      this.#changes.push(call);
    }
    if (this.#calls.push(call) > longestLog) this.#calls.shift();
    return call;
  }

  /** The call that rejected with this error, as text. */
  rejection(error: unknown): string | undefined {
    return this.#rejected.get(error)?.text;
  }

  /** The calls that have not settled, as one text; empty if there are none. */
  unsettled(): string {
    const open = this.#calls.filter(({ outcome }) => outcome === "has not settled");
    return open
      .map(({ text }) => text)
      .slice(0, mostNamed)
      .join("\n  ");
  }

  /** Names the latest changes and what was read after them, one line each: the call that caused a fault is among them. */
  suspects(): string[] {
    const reads = [...this.#reads.values()].sort((a, b) => a.number - b.number);
    const changes = this.#changes.slice(-mostNamed).map(line);
    const earlier = this.#changes.length - changes.length;
    if (earlier > 0) changes.unshift(`(${earlier} changes)`);
    return [...changes, ...reads.map(line)];
  }

  /** One line per call. Only the last thirty are there. */
  lines(): string[] {
    const dropped = this.#count - this.#calls.length;
    const lines = this.#calls.map(line);
    return dropped === 0 ? lines : [`(${dropped} earlier calls)`, ...lines];
  }
}

/** Like `show`, but names messages by their ids alone: a line of the log should fit on a screen. */
function brief(value: unknown): string {
  try {
    if (!Array.isArray(value) || value.length === 0) return show(value);
    const items: unknown[] = value.slice(0, 6); // may call a getter that throws
    if (!items.every(isMessage)) return show(value);
    return `[${items.map(nameOf).join(", ")}${value.length > items.length ? `, … and ${value.length - items.length} more` : ""}]`;
  } catch {
    return show(value);
  }
}

const isMessage = (item: unknown): item is StoredMessage => isRecord(item) && "promptId" in item && "message" in item;

function nameOf({ id, promptId, status }: StoredMessage): string {
  const prompt = promptId === id ? "" : ` to ${show(promptId)}`;
  return `message ${show(id)}${prompt}${status === "complete" ? "" : ` (${status})`}`;
}

const line = ({ number, text, outcome }: Call): string => `${number}. ${text} ${outcome}`;
