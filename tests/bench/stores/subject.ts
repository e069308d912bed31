/** What is compared: a store, and the bare statements that a person would write by hand for the same, through the same client. */
import type { StoredMessage, ThreadStore } from "../../../src/index.ts";

/** A thread is named by one string here. The store gets it as the thread id of {@link owner}. */
export const owner = "ada";

/** The bare statements: as durable as the store's, each message once, in order, and the thread listed by its latest activity. */
export interface Bare {
  append(thread: string, message: StoredMessage): unknown;
  /** The one message that answers its prompt: only where that is, in the place of a broken answer and never of a whole one. */
  appendAnswer(thread: string, message: StoredMessage): unknown;
  /** The newest messages, oldest first. */
  readLast(thread: string, count: number): StoredMessage[] | Promise<StoredMessage[]>;
}

/** A store and its bare statements, opened. */
export interface Subject {
  store: ThreadStore;
  bare: Bare;
  /** The same store through a client that counts: the counting is to cost nothing where time is measured. */
  counted: { store: ThreadStore; calls(): number };
  /** What it ran on, for example `PostgreSQL 15.14`. */
  versions: string[];
  /** Makes this many threads of an owner in bulk, `thread-1` being the first. @default one by one, a thousand at once */
  fillThreads?(owner: string, count: number): Promise<void>;
  /** What the database does by itself in time after much was written. */
  settle?(): Promise<unknown>;
  /** How the database goes about the store's statements. */
  plans?(): Promise<Plan[]>;
  close(): unknown;
}

/** The plans of one call. */
export interface Plan {
  title: string;
  text: string;
}

/** The object with every call of its methods counted, those of the statements it prepares included. */
export function counting<Client extends object>(client: Client): { client: Client; calls(): number } {
  let calls = 0;
  const wrap = <Target extends object>(target: Target): Target =>
    new Proxy(target, {
      get(target, name) {
        const member: unknown = Reflect.get(target, name);
        if (typeof member !== "function") return member;
        if (name === "prepare") return (...values: unknown[]) => wrap(Reflect.apply(member, target, values) as object);
        return (...values: unknown[]) => {
          calls++;
          return Reflect.apply(member, target, values) as unknown;
        };
      },
    });
  return { client: wrap(client), calls: () => calls };
}
