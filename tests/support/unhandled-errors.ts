/** Fails a test with an unhandled rejection or exception. */
import { afterEach, beforeEach, expect } from "vitest";

/** Watches every test of the calling file. */
export function failOnUnhandledErrors(): void {
  const floating: unknown[] = [];
  const note = (error: unknown) => void floating.push(error);

  beforeEach(() => {
    floating.length = 0;
    process.on("unhandledRejection", note);
    process.on("uncaughtException", note);
  });

  afterEach(async () => {
    // Node reports a rejection after the microtasks.
    for (let turns = 0; turns < 3; turns++) await new Promise((resolve) => setImmediate(resolve));
    process.off("unhandledRejection", note);
    process.off("uncaughtException", note);
    expect(floating).toEqual([]);
  });
}
