/** How a case is written, and how it runs against a store. */
import { withTimeout } from "../core/async.ts";
import { type MessageStore, messageStoreMethods, type ThreadStore, threadStoreMethods } from "../core/store.ts";
import { CallLog } from "./calls.ts";
import { Mismatch } from "./expect.ts";
import { storeInvariants, type InvariantName } from "./invariants.ts";
import type { Subject } from "./subject.ts";

/** One check of the kit, for a test runner of your own. */
export interface StoreCase {
  /** What the case proves, in a few words. Unique among the cases. */
  name: string;
  /** The sentence of the store contract that it proves. */
  invariant: string;
  /** Why the case cannot run: what the store lacks, or what the kit was not given. Absent if it can run. */
  skip?: string | undefined;
  /** Runs the case on a new store. Rejects with a {@link StoreInvariantError} if the store breaks the invariant. */
  run(): Promise<void>;
}

/**
 * A store broke an invariant. The message holds the invariant, what was found, the call that showed it with the changes before it,
 * and the calls of the case.
 */
export class StoreInvariantError extends Error {
  /** Always `"StoreInvariantError"`. */
  override readonly name: string;
  /** The sentence of the store contract that was broken. */
  readonly invariant: string;
  /** The calls of the case in order, one line each, shortened. At most the last thirty. */
  readonly calls: readonly string[];

  constructor(invariant: string, finding: string, calls: readonly string[], options?: ErrorOptions) {
    const others = calls.filter((line) => !finding.includes(line)).map((line) => `\n  ${line}`);
    super(`INVARIANT: ${invariant}\n\n${finding}${others.length === 0 ? "" : `\n\nThe other calls:${others.join("")}`}`, options);
    this.name = "StoreInvariantError";
    this.invariant = invariant;
    this.calls = calls;
    // Test runners print the fields of an error beside its message, which has all of this already.
    for (const field of ["name", "invariant", "calls"]) Object.defineProperty(this, field, { enumerable: false });
  }
}

/** Opens more instances on the data of the case's store. */
interface Instances<Store> {
  /** Opens a second instance beside the first. Only for a case that needs `peer`. */
  peer(): Promise<Store>;
  /** Closes the first instance and opens another in its place. Only for a case that needs `reopen`. */
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

/** Runs the case on a new store. Rejects with a {@link StoreInvariantError} if the store breaks the invariant. */
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
      if (!subject.peer) throw new Error("The case does not declare that it needs `peer`");
      const peer = await subject.peer(first);
      const recorded = log.record(peer, "peer", methods);
      peers.push(peer);
      return recorded;
    },
    async reopen() {
      if (!subject.reopen) throw new Error("The case does not declare that it needs `reopen`");
      first = await subject.reopen(first);
      return log.record(first, "reopened", methods);
    },
  };

  let broken: StoreInvariantError | undefined;
  const late = () =>
    new Mismatch(`The case was not done after ${timeout} ms. Still running:\n  ${log.unsettled() || "no call of the store"}`);
  try {
    await withTimeout(timeout, body(recorded, instances), late);
  } catch (error) {
    broken = new StoreInvariantError(storeInvariants[invariant], findingOf(error, log), log.lines(), causeOf(error));
  }
  try {
    for (const store of [...peers.reverse(), first]) await subject.destroy?.(store);
  } catch (error) {
    throw broken ?? error; // a broken store may also fail to close: what broke first is what matters
  }
  if (broken) throw broken;
}

function findingOf(error: unknown, log: CallLog): string {
  if (error instanceof Mismatch) {
    const suspects = log.suspects();
    return suspects.length === 0
      ? error.message
      : `${error.message}\n\nThe latest changes, and what was read after them:\n  ${suspects.join("\n  ")}`;
  }
  if (log.misfit) return log.misfit;
  return `${log.rejection(error) ?? "The case"} rejected, which it must not: ${String(error)}`;
}

/** A mismatch is in the message already; an error of the store or its database is worth printing with its stack. */
const causeOf = (error: unknown): ErrorOptions => (error instanceof Mismatch ? {} : { cause: error });
