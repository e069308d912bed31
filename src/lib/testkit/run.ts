/** How a case of any kit is presented, and how its body runs. */
import { withTimeout } from "../core/async.ts";
import type { CallLog } from "./calls.ts";
import { Mismatch } from "./expect.ts";

/** One check of a kit, for a test runner of your own. */
export interface KitCase {
  /** What the case proves, in a few words. Unique among the cases. */
  name: string;
  /** The sentence of the contract that it proves. */
  invariant: string;
  /** Why the case cannot run: what the subject lacks, or what the kit was not given. Absent if it can run. */
  skip?: string | undefined;
  /** The most milliseconds that the case takes before it fails. */
  timeout: number;
  /** Runs the case on a new store or coordinator. Rejects with an {@link InvariantError} if that breaks the invariant. */
  run(): Promise<void>;
}

/**
 * A store or a coordinator broke an invariant. The message holds the invariant, what was found, the call that showed it with the changes
 * before it, and the calls of the case.
 */
export class InvariantError extends Error {
  /** Always `"InvariantError"`. */
  override readonly name: string;
  /** The sentence of the contract that was broken. */
  readonly invariant: string;
  /** The calls of the case in order, one line each, shortened. At most the last thirty. */
  readonly calls: readonly string[];

  constructor(invariant: string, finding: string, calls: readonly string[], options?: ErrorOptions) {
    const others = calls.filter((line) => !finding.includes(line)).map((line) => `\n  ${line}`);
    super(`INVARIANT: ${invariant}\n\n${finding}${others.length === 0 ? "" : `\n\nThe other calls:${others.join("")}`}`, options);
    this.name = "InvariantError";
    this.invariant = invariant;
    this.calls = calls;
    // Test runners print the fields of an error beside its message, which has all of this already.
    for (const field of ["name", "invariant", "calls"]) Object.defineProperty(this, field, { enumerable: false });
  }
}

/** The body of a case that is about to run. */
export interface CaseRun {
  /** The sentence that the case proves. */
  invariant: string;
  /** The calls that the body makes. */
  log: CallLog;
  /** The most milliseconds that the body may take. */
  timeout: number;
  body(): Promise<void>;
  /** Closes what the case has opened. Called after the body, passed or failed. */
  close(): Promise<void>;
}

/** Runs the body of a case. Rejects with an {@link InvariantError} if it fails. */
export async function runBody({ invariant, log, timeout, body, close }: CaseRun): Promise<void> {
  let broken: InvariantError | undefined;
  const late = () =>
    new Mismatch(`The case was not done after ${timeout} ms. Still running:\n  ${log.unsettled() || `no call of the ${log.kind}`}`);
  try {
    await withTimeout(timeout, body(), late);
  } catch (error) {
    broken = new InvariantError(invariant, findingOf(error, log), log.lines(), causeOf(error));
  }
  try {
    await close();
  } catch (error) {
    throw broken ?? error; // what is broken may also fail to close: what failed first is what matters
  }
  if (broken) throw broken;
}

function findingOf(error: unknown, log: CallLog): string {
  if (error instanceof Mismatch) return error.message + log.suspects();
  if (log.misfit) return log.misfit;
  return `${log.rejection(error) ?? "The case"} rejected, which it must not: ${String(error)}`;
}

/** A mismatch is in the message already; an error of the store or its database is worth printing with its stack. */
const causeOf = (error: unknown): ErrorOptions => (error instanceof Mismatch ? {} : { cause: error });
