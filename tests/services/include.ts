/** Tests that need something from outside: run where it is there, shown as left out where it is not, and failing on CI. */
import { describe, test } from "vitest";

/** Describes the tests if there is `what` they need; `remedy` says how to get it. */
export function describeWith<What>(title: string, what: What | undefined, remedy: string, tests: (what: What) => void): void {
  if (what !== undefined) {
    describe(title, () => tests(what));
  } else if (process.env.CI) {
    test(title, () => {
      throw new Error(`CI leaves nothing out: ${remedy}`);
    });
  } else {
    console.warn(`Left out: ${title}. To include it: ${remedy}`);
    test.skip(`${title} (left out; to include it: ${remedy})`);
  }
}

/** A module of `npm install --prefix tests/services`, if it is installed. */
export async function installed(name: string): Promise<{ default: unknown } | undefined> {
  return import(name).catch(() => undefined);
}
