/** The two sides of a comparison: a store, and the bare statements that you would write by hand through the same client. */
import type { StoredMessage, ThreadStore } from "../../../src/index.ts";

/** The owner of all threads. Bare statements identify a thread by its thread id only. */
export const owner = "ada";

/** Bare statements, as durable as the store: each message once and in order, and threads listed by their latest activity. */
export interface Bare {
  append(thread: string, message: StoredMessage): unknown;
  /** Stores the answer of a prompt, if the prompt exists. Replaces a partial answer, never a complete one. */
  appendAnswer(thread: string, message: StoredMessage): unknown;
  /** The newest messages, oldest first. */
  readLast(thread: string, count: number): StoredMessage[] | Promise<StoredMessage[]>;
}

/** A store and its bare statements, opened. */
export interface Subject {
  store: ThreadStore;
  bare: Bare;
  /** The same store through a client that counts its calls. Separate, so that counting does not affect the timing. */
  counted: { store: ThreadStore; calls(): number };
  /** The database and its version, for example `PostgreSQL 15.14`. */
  versions: string[];
  /** Creates this many threads of an owner in bulk, starting with `thread-1`. @default `createThread`, a thousand calls at once */
  fillThreads?(owner: string, count: number): Promise<void>;
  /** Runs the maintenance that the database does after many writes. */
  settle?(): Promise<unknown>;
  /** Returns the query plans of the store's statements. */
  plans?(): Promise<Plan[]>;
  close(): unknown;
}

/** The plans of one call. */
export interface Plan {
  title: string;
  text: string;
}

/** Wraps a client and counts every call of its methods, including those of its prepared statements. */
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
