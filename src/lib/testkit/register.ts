/** Registers the cases of a kit with a test runner. */
import { throwUsageError } from "../core/usage-error.ts";
import type { KitCase } from "./run.ts";

/** Options of {@link messageStoreCases} and {@link coordinatorCases}. */
export interface CaseOptions {
  /** The most milliseconds that a case may take. Cases of coordinators that wait for an expiry or a hint may take four times as long. @default 30_000 */
  timeout?: number | undefined;
}

/** The test function of a runner: `test` of vitest, jest, node:test or bun:test. */
export interface TestFunction {
  (name: string, run: () => Promise<void>, timeout?: number): unknown;
  /** Reports a test as skipped. */
  skip(name: string, run: () => Promise<void>): unknown;
}

/** Options of {@link testMessageStore} and {@link testCoordinator}. */
export interface TestOptions extends CaseOptions {
  /** The runner's test function. @default the global `test` or `it` */
  test?: TestFunction | undefined;
}

/** The default of {@link CaseOptions.timeout}. */
export const defaultTimeout = 30_000;

/** Registers cases as tests with the given or the global test function. `call` is how a user calls the kit, for the errors. */
export function registerCases(
  name: string,
  cases: (options: CaseOptions) => readonly KitCase[],
  { test: given, timeout = defaultTimeout }: TestOptions,
  call: { function: string; example: string },
): void {
  if (typeof name !== "string") throwUsageError(`the name comes first: ${call.example}`);
  const test = given ?? ["test", "it"].map((global): unknown => Reflect.get(globalThis, global)).find(isTestFunction);
  if (!isTestFunction(test))
    throwUsageError(`there is no test function with a skip: pass your runner's, as in ${call.function}(name, subject, { test })`);
  for (const { name: what, skip, timeout: limit, run } of cases({ timeout })) {
    if (skip) test.skip(`${name}: ${what} (skipped: ${skip})`, run);
    else test(`${name}: ${what}`, run, limit + 10_000); // so that the case reports the timeout itself, with its calls
  }
}

function isTestFunction(value: unknown): value is TestFunction {
  return typeof value === "function" && typeof Reflect.get(value, "skip") === "function";
}
