/** A store whose calls fail as a test plans, and that records its calls. */
import type { MessageStore, ThreadStore } from "../../src/index.ts";

/** How a store call fails. */
export type Fault =
  /** Rejects without an effect. */
  | "reject"
  /** Throws synchronously, without an effect. */
  | "throw"
  /** Never settles, without an effect. */
  | "hang"
  /** Takes effect, then rejects. */
  | "act-reject"
  /** Takes effect, then never settles. */
  | "act-hang"
  /** Takes effect twice and returns the second result, like a database client that retries after a lost reply. */
  | "twice"
  /** Takes effect when the promise resolves. */
  | { before: Promise<unknown> }
  /** Takes effect at once and settles when the promise resolves. */
  | { after: Promise<unknown> };

export const faults = ["reject", "throw", "hang", "act-reject", "act-hang"] as const satisfies readonly Fault[];

/** One call of a store. */
export interface StoreCall {
  readonly method: string;
  readonly args: readonly unknown[];
  /** Its index among all calls. */
  readonly number: number;
  /** Its index among the calls of this method. */
  readonly nth: number;
}

/** The message of a store's error. Nothing of it may reach a client. */
export const secretStoreError = "connect ECONNREFUSED postgres://app:hunter2@10.0.0.7/chat";

/** A store with a record of its calls and with faults. */
export type FaultyStore<S extends MessageStore = ThreadStore> = S & {
  readonly calls: readonly StoreCall[];
  /** Sets a function that chooses the fault of each later call. Without one, calls succeed. */
  injectFaults(fault?: (call: StoreCall) => Fault | undefined): void;
  /** Resolves when all calls have taken effect, including calls that timed out. */
  waitForCalls(): Promise<void>;
};

/** Wraps a store. The wrapped store does not change, so a test can read what was really stored. */
export function createFaultyStore<S extends MessageStore>(store: S): FaultyStore<S> {
  const calls: StoreCall[] = [];
  const pending = new Set<Promise<unknown>>();
  let faultOf: (call: StoreCall) => Fault | undefined = () => undefined;

  const methods: Record<string, unknown> = {};
  for (const [method, act] of Object.entries(store) as [string, (...args: unknown[]) => Promise<unknown>][]) {
    methods[method] = (...args: unknown[]): Promise<unknown> => {
      const nth = calls.filter((call) => call.method === method).length;
      const call = { method, args: structuredClone(args), number: calls.length, nth };
      calls.push(call);
      const fault = faultOf(call);
      if (fault === "throw") throw new Error(secretStoreError);
      return perform(fault, () => {
        const result = act(...args);
        pending.add(result);
        return result.finally(() => pending.delete(result));
      });
    };
  }
  return {
    ...store,
    ...methods,
    calls,
    injectFaults: (chooseFault = () => undefined) => void (faultOf = chooseFault),
    async waitForCalls() {
      do {
        await Promise.allSettled(pending);
        await new Promise((resolve) => setImmediate(resolve)); // a caller may continue with the next call
      } while (pending.size > 0);
    },
  };
}

async function perform(fault: Fault | undefined, act: () => Promise<unknown>): Promise<unknown> {
  if (fault === "reject") throw new Error(secretStoreError);
  if (fault === "hang") return never();
  if (typeof fault === "object" && "before" in fault) await fault.before;
  const result = await act();
  if (fault === "twice") return act();
  if (fault === "act-reject") throw new Error(secretStoreError);
  if (fault === "act-hang") return never();
  if (typeof fault === "object" && "after" in fault) await fault.after;
  return result;
}

const never = () => new Promise<never>(() => {});
