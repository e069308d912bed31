/** Tests that need something from outside: run where it is there, shown as skipped where it is not, and failing on CI. */
import { describe } from "vitest";

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

/** The default export of a module of `npm install --prefix tests/services`, if it is installed. */
export async function installed<Module>(path: string): Promise<Module | undefined> {
  const module: { default: Module } | undefined = await import(path).catch(() => undefined);
  return module?.default;
}
