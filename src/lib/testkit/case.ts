/** How a case is written, and how it is run against a store. */
import { within } from "../core/async.ts";
import { type MessageStore, messageStoreMethods, type ThreadStore, threadStoreMethods } from "../core/store.ts";
import { CallLog } from "./calls.ts";
import { Mismatch } from "./expect.ts";
import { storeInvariants, type InvariantName } from "./invariants.ts";
import type { Subject } from "./subject.ts";

/** One check of the kit, for a runner of your own. */
export interface StoreCase {
  /** What the case does, in a few words; unique among the cases. */
  name: string;
  /** The sentence of the store contract that it proves. */
  invariant: string;
  /** Why it is not to be run: what the store does not have or was not given. Absent where it is to be run. */
  skip?: string | undefined;
  /** Runs it on a store of its own. Rejects with a {@link StoreInvariantError} where the store breaks the invariant. */
  run(): Promise<void>;
}

/** A store broke an invariant. Its message holds the invariant, what was found, and the calls that led to it. */
export class StoreInvariantError extends Error {
  /** Tells it from other errors in a runner's report. */
  override readonly name = "StoreInvariantError";
  /** The sentence of the store contract that was broken. */
  readonly invariant: string;
  /** The calls of the case in order, one line each, abbreviated; the last thirty. */
  readonly calls: readonly string[];

  constructor(invariant: string, finding: string, calls: readonly string[], options?: ErrorOptions) {
    const made = calls.length === 0 ? "" : `\n\nThe calls that led to it:\n${calls.map((line) => `  ${line}`).join("\n")}`;
    super(`INVARIANT: ${invariant}\n\n${finding}${made}`, options);
    this.invariant = invariant;
    this.calls = calls;
  }
}

/** Gives a case more instances on the data of its store. */
interface Instances<Store> {
  /** A second instance, beside the first. Only where the case needs `peer`. */
  peer(): Promise<Store>;
  /** Closes the first instance and gives the one that was opened in its place. Only where the case needs `reopen`. */
  reopen(): Promise<Store>;
}

/** A case as it is written. */
export interface CaseDefinition<Store extends MessageStore> {
  name: string;
  invariant: InvariantName;
  needs?: "peer" | "reopen" | undefined;
  body(store: Store, instances: Instances<Store>): Promise<void>;
}

/** A case of the tier that every store has. */
export type MessageCase = CaseDefinition<MessageStore>;

/** A case of the tier of stores with threads. */
export type ThreadCase = CaseDefinition<ThreadStore>;

/** Runs the definition on a fresh store and says what was found, if anything. */
export async function runCase<Store extends MessageStore>(
  { invariant, body }: CaseDefinition<Store>,
  subject: Subject<Store>,
  timeout: number,
): Promise<void> {
  const log = new CallLog();
  const methods = [...messageStoreMethods, ...threadStoreMethods];
  let first = await subject.create();
  const recorded = log.record(first, "store", methods);
  const peers: Store[] = [];

  const instances: Instances<Store> = {
    async peer() {
      if (!subject.peer) throw new Error("The case did not say that it needs `peer`");
      const peer = await subject.peer(first);
      const recorded = log.record(peer, "peer", methods);
      peers.push(peer);
      return recorded;
    },
    async reopen() {
      if (!subject.reopen) throw new Error("The case did not say that it needs `reopen`");
      first = await subject.reopen(first);
      return log.record(first, "reopened", methods);
    },
  };

  let broken: StoreInvariantError | undefined;
  try {
    // A store that hangs is named like any other.
    await within(timeout, body(recorded, instances), () => new Mismatch(`The case was not done after ${timeout} ms`));
  } catch (error) {
    const finding = error instanceof Mismatch ? error.message : (log.misfit ?? `A call rejected that should not have: ${String(error)}`);
    broken = new StoreInvariantError(storeInvariants[invariant], finding, log.lines(), { cause: error });
  }
  try {
    for (const store of [...peers.reverse(), first]) await subject.destroy?.(store);
  } catch (error) {
    throw broken ?? error; // a store that broke may well fail to close, too: what broke first is what matters
  }
  if (broken) throw broken;
}
