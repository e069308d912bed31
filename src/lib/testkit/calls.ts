/** Records the calls of a case, so that a failure can name the calls that led to it. */
import { throwUsageError } from "../core/usage-error.ts";
import { expectThat, isRecord, show } from "./expect.ts";

const longestLog = 30;
const mostNamed = 5;
const mostSuspects = 10;

/** What is recorded: the methods of a store, or of a coordinator. */
export interface CallShape {
  kind: "store" | "coordinator";
  /** The functions of the subject that open it, for the error about one that returns something else. */
  openedBy: string;
  methods: readonly string[];
  /** The methods that change nothing. */
  readingMethods: ReadonlySet<string>;
  /** Whether the reads of a case show the faults of all changes before them. If not, any of the latest calls may have caused a fault. */
  readsShowAll: boolean;
  /** What the method must resolve to if this is no such thing: a case could only fail with an error about its own code. */
  resultFault(method: string, result: unknown): string | undefined;
  /** Any argument or result as short text. It may throw. */
  brief(value: unknown): string;
}

interface Call {
  number: number;
  text: string;
  outcome: string;
}

/** The calls of one case, in the order in which they began. */
export class CallLog {
  readonly #shape: CallShape;
  #calls: Call[] = [];
  #count = 0;
  /** The latest changes with no read among them, and the latest read of each method since then. */
  #changes: Call[] = [];
  #reads = new Map<string, Call>();
  /** The latest calls that have settled. */
  #settled: Call[] = [];
  #rejected = new Map<unknown, Call>();
  /** The last call that resolved to something of another kind than it should have, unless a later call rejected. */
  misfit: string | undefined;

  constructor(shape: CallShape) {
    this.#shape = shape;
  }

  get kind(): string {
    return this.#shape.kind;
  }

  /** Returns the same store or coordinator, with each call recorded. A call of a method that is missing is a mismatch. */
  record<Subject extends object>(subject: Subject, instance: string): Subject {
    const { kind, openedBy, methods, resultFault } = this.#shape;
    if (!isRecord(subject)) throwUsageError(`${openedBy} must return a ${kind}, not ${show(subject)}`);
    const recorded: Record<string, unknown> = Object.create(null);
    for (const name of methods) {
      const method: unknown = Reflect.get(subject, name);
      if (typeof method !== "function") {
        // Not enumerable: Object.keys returns the methods that exist.
        Object.defineProperty(recorded, name, { get: () => expectThat(false, `The ${kind} has no ${name}`) });
        continue;
      }
      recorded[name] = async (...args: unknown[]) => {
        const call = this.#begin(instance, name, args);
        try {
          const result: unknown = await Reflect.apply(method, subject, args);
          call.outcome = `→ ${this.#brief(result)}`;
          const expected = resultFault(name, result);
          if (expected !== undefined) this.misfit = `${instance}.${name} must resolve to ${expected}, not ${show(result)}`;
          return result;
        } catch (error) {
          this.misfit = undefined;
          call.outcome = `rejected: ${show(error)}`;
          this.#rejected.set(error, call);
          throw error;
        } finally {
          if (this.#settled.push(call) > mostSuspects) this.#settled.shift();
        }
      };
    }
    return recorded as Subject;
  }

  #begin(instance: string, method: string, args: readonly unknown[]): Call {
    const text = `${instance}.${method}(${args.map((arg) => this.#brief(arg)).join(", ")})`;
    const call = { number: ++this.#count, text, outcome: "has not settled" };
    if (this.#shape.readingMethods.has(method)) this.#reads.set(method, call);
    else {
      if (this.#reads.size > 0) this.#changes = [];
      this.#reads.clear();
      this.#changes.push(call);
    }
    if (this.#calls.push(call) > longestLog) this.#calls.shift();
    return call;
  }

  #brief(value: unknown): string {
    try {
      return this.#shape.brief(value);
    } catch {
      return show(value);
    }
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

  /** Names the calls among which is the one that caused a fault, one line each, under a title. Empty if there was no call. */
  suspects(): string {
    const lines = this.#shape.readsShowAll ? this.#changesAndReads() : this.#settled.toSorted((a, b) => a.number - b.number).map(line);
    if (lines.length === 0) return "";
    const title = this.#shape.readsShowAll ? "The latest changes, and what was read after them" : "The latest calls";
    return `\n\n${title}:\n  ${lines.join("\n  ")}`;
  }

  #changesAndReads(): string[] {
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

const line = ({ number, text, outcome }: Call): string => `${number}. ${text} ${outcome}`;
