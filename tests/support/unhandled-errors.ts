/** Fails a test that leaves a rejection or an exception to nobody. */
import { afterEach, beforeEach, expect } from "vitest";

/** Watches every test of the file that calls it. */
export function failOnUnhandledErrors(): void {
  const floating: unknown[] = [];
  const note = (error: unknown) => void floating.push(error);

  beforeEach(() => {
    floating.length = 0;
    process.on("unhandledRejection", note);
    process.on("uncaughtException", note);
  });

  afterEach(async () => {
    // Node tells of a rejection after the microtasks of the turn that made it.
    for (let turns = 0; turns < 3; turns++) await new Promise((resolve) => setImmediate(resolve));
    process.off("unhandledRejection", note);
    process.off("uncaughtException", note);
    expect(floating).toEqual([]);
  });
}
