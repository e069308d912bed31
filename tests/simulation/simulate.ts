/** Tests that play random schedules over a store. */
import fc from "fast-check";
import { expect, test, vi } from "vitest";
import type { ThreadStore } from "../../src/index.ts";
import { checkSchedules, scaleRuns } from "./check-schedules.ts";
import { type Plan, plans, threads } from "./plan.ts";
import { createRun, type Run } from "./run.ts";

/** A store for all schedules of a test. It is emptied before each of them. */
export interface OpenStore {
  store: ThreadStore;
  /** Called after all schedules. */
  close?(): unknown;
}

/** Registers a test that plays random schedules over a store. */
export function simulate(name: string, runs: number, open: () => Promise<OpenStore>): void {
  const numRuns = scaleRuns(runs);

  test(`random schedules over ${name}`, { timeout: 120_000 + numRuns * 200 }, async () => {
    const { store, close } = await open();
    try {
      await checkSchedules(numRuns, {
        command: `npx vitest run tests/simulation/simulation -t "over ${name}"`,
        plans,
        play: async (plan, floating) => (await prepare(plan, store, floating)).play(),
        trace: (plan) => trace(plan, store),
      });
    } finally {
      await close?.();
    }
  });
}

/** Registers a test that a schedule has the same trace each time. Otherwise a seed would be useless. */
export function simulateTwice(name: string, runs: number, open: () => Promise<OpenStore>): void {
  test(`a schedule has the same trace each time, over ${name}`, { timeout: 120_000 }, async () => {
    const { store, close } = await open();
    try {
      for (const plan of fc.sample(plans, runs)) expect(await trace(plan, store)).toEqual(await trace(plan, store));
    } finally {
      vi.useRealTimers();
      await close?.();
    }
  });
}

/** Plays a schedule for its trace. */
async function trace(plan: Plan, store: ThreadStore): Promise<readonly string[]> {
  const run = await prepare(plan, store, []);
  // Broken invariants are reported by the other tests.
  await run.play().catch(() => {});
  return run.trace;
}

/** Creates a run over an emptied store, with the clock at 0. */
async function prepare(plan: Plan, store: ThreadStore, floating: readonly unknown[]): Promise<Run> {
  for (const { owner } of threads) await store.deleteOwner(owner);
  // Only the schedule advances the clock. Immediates are real, so that the consequences of a step can happen.
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "Date", "performance"], now: 1 });
  return createRun(plan, store, floating);
}
