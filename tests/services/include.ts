/** Tests that need something from outside: run where it is there, shown as skipped where it is not, and failing on CI. */
import { describe } from "vitest";

export { installed } from "./installed.ts";

/**
 * `describe`, if what the tests need `isThere`; `remedy` says how to get it.
 *
 * @throws Error on CI where it is not there.
 */
export function describeWith(what: string, isThere: boolean, remedy: string): typeof describe | typeof describe.skip {
  if (isThere) return describe;
  if (process.env.CI) throw new Error(`CI leaves nothing out, and ${what} is not there: ${remedy}`);
  console.warn(`Left out: ${what}. To include it: ${remedy}`);
  return describe.skip;
}

/** Variables that hold the address of a server. */
export type Variable = "DATABASE_URL" | "PGBOUNCER_URL" | "MYSQL_URL" | "REDIS_URL";

/** What to do where a test needs the server whose address is in this variable; `script` runs the test. */
export const remedyFor = (variable: Variable, script = "npm test"): string =>
  `set ${variable}, or run \`npx node tests/services/run.ts ${script}\``;
