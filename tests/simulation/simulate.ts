/** Plays schedules against a handler, and makes of a broken invariant a report that plays it again. */
import fc from "fast-check";
import { expect, test, vi } from "vitest";
import type { ThreadStore } from "../../src/index.ts";
import { plans, threads, type Plan } from "./plan.ts";
import { createRun, type Run } from "./run.ts";

/** The seed, the path and the number of runs may come from the environment. */
const { SIMULATION_SEED, SIMULATION_PATH, SIMULATION_RUNS } = process.env;

/** How long a broken schedule is made simpler, in seconds. */
const secondsToSimplify = 30;

/** Where a store comes from, and how it is let go. */
export interface StoreSource {
  create(): ThreadStore | Promise<ThreadStore>;
  destroy?(): unknown;
}

/** Declares a test that plays so many random schedules over a store, which is emptied before each of them. */
export function simulate(name: string, { create, destroy }: StoreSource, defaultRuns: number): void {
  const runs = Number(SIMULATION_RUNS ?? defaultRuns);

  test(`${runs} random schedules over ${name}`, { timeout: 60_000 + runs * 100 }, async () => {
    const floating: unknown[] = [];
    const note = (error: unknown) => void floating.push(error);
    process.on("unhandledRejection", note);
    const store = await create();
    try {
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
      const seed = SIMULATION_SEED === undefined ? {} : { seed: Number(SIMULATION_SEED) };
      const path = SIMULATION_PATH === undefined ? {} : { path: SIMULATION_PATH };
      const result = await fc.check(fc.asyncProperty(plans, play), { numRuns: runs, ...seed, ...path });
      if (result.failed) throw new Error(await explain(name, result, store));
      expect(result.numRuns).toBe(runs);
    } finally {
      await destroy?.();
      vi.useRealTimers();
      process.off("unhandledRejection", note);
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

/** What broke, with the schedule that broke it and the command that plays it again. */
async function explain(
  name: string,
  { seed, counterexamplePath, counterexample, errorInstance, numRuns, numShrinks }: fc.RunDetails<[Plan]>,
  store: ThreadStore,
): Promise<string> {
  const [plan] = counterexample ?? [];
  const trace: string[] = [];
  if (plan) {
    const run = await prepare(plan, store, []);
    await run.play().catch(() => {});
    trace.push(...run.trace);
  }
  return [
    errorInstance instanceof Error ? errorInstance.message : String(errorInstance),
    "",
    `Found over ${name} in schedule ${numRuns}, made simpler ${numShrinks} times. To play it again:`,
    `SIMULATION_SEED=${seed} SIMULATION_PATH=${counterexamplePath} npx vitest run tests/simulation -t "over ${name}"`,
    "",
    fc.stringify(plan),
    "",
    ...trace,
  ].join("\n");
}
