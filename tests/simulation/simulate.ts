/** Plays random schedules over a store, and makes of a broken invariant a report with the command that plays it again. */
import fc from "fast-check";
import { expect, test, vi } from "vitest";
import type { ThreadStore } from "../../src/index.ts";
import { type Plan, plans, threads } from "./plan.ts";
import { createRun, type Run } from "./run.ts";

/** How many schedules a normal run of the tests plays over memory. Other stores get their share of any other number. */
export const normalRuns = 3000;

/** Where a normal run begins: the same for everybody, so that a change is what breaks it and not the luck of the day. */
const normalSeed = 2;

/** How long a broken schedule is made simpler, in seconds. */
const secondsToSimplify = 30;

/** A store for all schedules of a test; it is emptied before each of them. */
export interface OpenStore {
  store: ThreadStore;
  /** Called when all schedules are over. */
  close?(): unknown;
}

/**
 * Registers a test that plays so many random schedules over a store.
 *
 * `SIMULATION_RUNS` plays more of them and `SIMULATION_SEED=random` others; `SIMULATION_SEED` and `SIMULATION_PATH` with the values
 * of a report play those again.
 */
export function simulate(name: string, runs: number, open: () => Promise<OpenStore>): void {
  const { SIMULATION_RUNS = normalRuns, SIMULATION_SEED = normalSeed, SIMULATION_PATH } = process.env;
  const numRuns = Math.ceil((Number(SIMULATION_RUNS) / normalRuns) * runs);

  test(`random schedules over ${name}`, { timeout: 120_000 + numRuns * 200 }, async () => {
    const { store, close } = await open();
    const floating: unknown[] = [];
    const note = (error: unknown) => void floating.push(error);
    process.on("unhandledRejection", note);
    let until = Infinity;
    const play = async (plan: Plan) => {
      // Simpler schedules are looked for a while, not for ever.
      if (process.uptime() > until) return;
      const run = await prepare(plan, store, floating);
      await run.play().catch((error: unknown) => {
        until = Math.min(until, process.uptime() + secondsToSimplify);
        throw error;
      });
    };
    try {
      const result = await fc.check(fc.asyncProperty(plans, play), {
        numRuns,
        ...(SIMULATION_SEED !== "random" && { seed: Number(SIMULATION_SEED) }),
        ...(SIMULATION_PATH !== undefined && { path: SIMULATION_PATH }),
      });
      if (result.failed) throw new Error(await explain(name, result, store));
      // What is played again by its path begins there.
      expect(SIMULATION_PATH ?? result.numRuns).toBe(SIMULATION_PATH ?? numRuns);
    } finally {
      process.off("unhandledRejection", note);
      vi.useRealTimers();
      await close?.();
    }
  });
}

/** Registers a test that a schedule plays the same way each time: without that, no seed would mean anything. */
export function simulateTwice(name: string, runs: number, open: () => Promise<OpenStore>): void {
  test(`a schedule plays the same way each time, over ${name}`, { timeout: 120_000 }, async () => {
    const { store, close } = await open();
    const trace = async (plan: Plan) => {
      const run = await prepare(plan, store, []);
      // What is broken is for the other tests to say.
      await run.play().catch(() => {});
      return run.trace;
    };
    try {
      for (const plan of fc.sample(plans, runs)) expect(await trace(plan)).toEqual(await trace(plan));
    } finally {
      vi.useRealTimers();
      await close?.();
    }
  });
}

/** A run over an emptied store, at the beginning of time. */
async function prepare(plan: Plan, store: ThreadStore, floating: readonly unknown[]): Promise<Run> {
  for (const { owner } of threads) await store.deleteOwner(owner);
  // Time passes where a schedule says so. Immediates stay real: within one, all that follows from a step happens.
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "Date", "performance"], now: 1 });
  return createRun(plan, store, floating);
}

/** What broke, the command that plays it again, and all that happened. */
async function explain(name: string, result: fc.RunDetails<[Plan]>, store: ThreadStore): Promise<string> {
  const { seed, counterexamplePath, counterexample, errorInstance, numRuns, numShrinks } = result;
  const lines = [
    errorInstance instanceof Error ? errorInstance.message : String(errorInstance),
    "",
    `Found in schedule ${numRuns}, made simpler ${numShrinks} times. To play it again:`,
    `SIMULATION_SEED=${seed} SIMULATION_PATH=${counterexamplePath} npx vitest run tests/simulation -t "over ${name}"`,
  ];
  for (const plan of counterexample ?? []) {
    const run = await prepare(plan, store, []);
    await run.play().catch(() => {});
    lines.push("", fc.stringify(plan), "", ...run.trace);
  }
  return lines.join("\n");
}
