/** Plays random schedules over a store. Reports a broken invariant with the command that plays it again. */
import fc from "fast-check";
import { expect, test, vi } from "vitest";
import type { ThreadStore } from "../../src/index.ts";
import { type Plan, plans, threads } from "./plan.ts";
import { createRun, type Run } from "./run.ts";

/** The number of schedules over the memory store in a normal run. Other stores play a fraction of them. */
export const normalRuns = 3000;

/** The seed of a normal run. It is fixed, so only a change of the code can break the test. */
const normalSeed = 2;

/** How long a broken schedule is simplified, in seconds. */
const secondsToSimplify = 30;

/** A store for all schedules of a test. It is emptied before each of them. */
export interface OpenStore {
  store: ThreadStore;
  /** Called after all schedules. */
  close?(): unknown;
}

/**
 * Registers a test that plays random schedules over a store.
 *
 * `SIMULATION_RUNS` plays more schedules, and `SIMULATION_SEED=random` plays others. `SIMULATION_SEED` and `SIMULATION_PATH` with the
 * values of a report play that schedule again.
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
      // The search for a simpler schedule is limited in time.
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
      // A path starts at its own schedule.
      expect(SIMULATION_PATH ?? result.numRuns).toBe(SIMULATION_PATH ?? numRuns);
    } finally {
      process.off("unhandledRejection", note);
      vi.useRealTimers();
      await close?.();
    }
  });
}

/** Registers a test that a schedule has the same trace each time. Otherwise a seed would be useless. */
export function simulateTwice(name: string, runs: number, open: () => Promise<OpenStore>): void {
  test(`a schedule has the same trace each time, over ${name}`, { timeout: 120_000 }, async () => {
    const { store, close } = await open();
    const trace = async (plan: Plan) => {
      const run = await prepare(plan, store, []);
      // Broken invariants are reported by the other tests.
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

/** Creates a run over an emptied store, with the clock at 0. */
async function prepare(plan: Plan, store: ThreadStore, floating: readonly unknown[]): Promise<Run> {
  for (const { owner } of threads) await store.deleteOwner(owner);
  // Only the schedule advances the clock. Immediates are real, so that the consequences of a step can happen.
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "Date", "performance"], now: 1 });
  return createRun(plan, store, floating);
}

/** The report: the broken invariant, the command that plays it again, and the trace. */
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
