/** Calls of a coordinator that always settle. */
import { callSafely, withTimeout } from "../../core/async.ts";
import type { CoordinatorSettings } from "../../core/coordinator.ts";

/** Makes a call. Rejects if it takes so long that a lease could end meanwhile. */
export type Call = <T>(work: () => Promise<T>) => Promise<T>;

/** Creates the calls of a coordinator. */
export function createCall({ leaseMs }: CoordinatorSettings): Call {
  const timeout = Math.min(2000, leaseMs / 4);
  return (work) => withTimeout(timeout, callSafely(work), () => new Error(`The coordinator did not answer within ${timeout} ms.`));
}
