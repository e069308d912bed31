/** A store whose calls fail on demand, each in its own way, and that remembers what it was asked. */
import type { MessageStore, ThreadStore } from "../../src/index.ts";

/** How a store call goes wrong. */
export type Fault =
  /** Rejects and does nothing. */
  | "reject"
  /** Throws before it gives a promise, and does nothing. */
  | "throw"
  /** Never settles, and does nothing. */
  | "hang"
  /** Does its work and rejects all the same. */
  | "act-reject"
  /** Does its work and never settles. */
  | "act-hang"
  /** Does its work twice and gives what the second time gave, as a client does that sends again what was not answered. */
  | "twice"
  /** Does its work when the promise resolves. */
  | { before: Promise<unknown> }
  /** Does its work at once and settles when the promise resolves. */
  | { after: Promise<unknown> };

export const faults = ["reject", "throw", "hang", "act-reject", "act-hang"] as const satisfies readonly Fault[];

/** One call of a store. */
export interface StoreCall {
  readonly method: string;
  readonly args: readonly unknown[];
  /** Its place among all calls, from 0. */
  readonly number: number;
  /** Its place among the calls of this method, from 0. */
  readonly nth: number;
}

/** What a store's own error would say: none of it may reach a client. */
export const storeSecret = "connect ECONNREFUSED postgres://app:hunter2@10.0.0.7/chat";

/** A store with a record of its calls and a plan of its faults. */
export type FaultyStore<S extends MessageStore = ThreadStore> = S & {
  readonly calls: readonly StoreCall[];
  /** Chooses the fault of each later call; without a plan all goes well. */
  plan(fault?: (call: StoreCall) => Fault | undefined): void;
  /** Resolves when all is done that was begun, also what nobody waits for any more. */
  quiet(): Promise<void>;
};

/** Puts faults in the way of a store. The store itself stays as it is, for looking at what was really stored. */
export function createFaultyStore<S extends MessageStore>(store: S): FaultyStore<S> {
  const calls: StoreCall[] = [];
  const underWay = new Set<Promise<unknown>>();
  let faultOf: (call: StoreCall) => Fault | undefined = () => undefined;

  const methods: Record<string, unknown> = {};
  for (const [method, act] of Object.entries(store) as [string, (...args: unknown[]) => Promise<unknown>][]) {
    methods[method] = (...args: unknown[]): Promise<unknown> => {
      const nth = calls.filter((call) => call.method === method).length;
      const call = { method, args: structuredClone(args), number: calls.length, nth };
      calls.push(call);
      const fault = faultOf(call);
      if (fault === "throw") throw new Error(storeSecret);
      return perform(fault, () => {
        const acting = act(...args);
        underWay.add(acting);
        return acting.finally(() => underWay.delete(acting));
      });
    };
  }
  return {
    ...store,
    ...methods,
    calls,
    plan: (plan = () => undefined) => void (faultOf = plan),
    async quiet() {
      do {
        await Promise.allSettled(underWay);
        await new Promise((resolve) => setImmediate(resolve)); // what waited for that may go on with the next
      } while (underWay.size > 0);
    },
  };
}

async function perform(fault: Fault | undefined, act: () => Promise<unknown>): Promise<unknown> {
  if (fault === "reject") throw new Error(storeSecret);
  if (fault === "hang") return never();
  if (typeof fault === "object" && "before" in fault) await fault.before;
  const result = await act();
  if (fault === "twice") return act();
  if (fault === "act-reject") throw new Error(storeSecret);
  if (fault === "act-hang") return never();
  if (typeof fault === "object" && "after" in fault) await fault.after;
  return result;
}

const never = () => new Promise<never>(() => {});
