/** Random schedules of several instances that share a coordinator. */
import { afterEach, expect, test, vi } from "vitest";
import fc from "fast-check";
import { createMemoryStore } from "../../../src/index.ts";
import { checkSchedules, scaleRuns } from "../check-schedules.ts";
import { createInstanceClock } from "./clock.ts";
import { type InstancesPlan, instancesPlans } from "./plan.ts";
import { createInstancesRun } from "./run.ts";

/** The number of schedules in a normal run. */
const normalRuns = 2000;

afterEach(() => void vi.restoreAllMocks());

/** Plays a schedule. Returns its trace, and the invariant that it broke. */
async function play(plan: InstancesPlan, floating: readonly unknown[]): Promise<{ trace: readonly string[]; error: Error | undefined }> {
  const clock = createInstanceClock();
  const run = createInstancesRun(plan, createMemoryStore(), clock, floating);
  try {
    await run.play();
    return { trace: run.trace, error: undefined };
  } catch (error) {
    return { trace: run.trace, error: error instanceof Error ? error : new Error(String(error)) };
  } finally {
    clock.restore();
  }
}

test("a schedule of instances has the same trace each time", { timeout: 120_000 }, async () => {
  for (const plan of fc.sample(instancesPlans, 50)) expect((await play(plan, [])).trace).toEqual((await play(plan, [])).trace);
});

test("random schedules of instances", { timeout: 120_000 + scaleRuns(normalRuns) * 200 }, async () => {
  await checkSchedules(scaleRuns(normalRuns), {
    command: 'npx vitest run tests/simulation/instances -t "random schedules"',
    plans: instancesPlans,
    async play(plan, floating) {
      const { error } = await play(plan, floating);
      if (error) throw error;
    },
    trace: async (plan) => (await play(plan, [])).trace,
  });
});
