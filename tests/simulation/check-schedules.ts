/** Checks random schedules, and reports a broken invariant with the command that plays it again. */
import fc from "fast-check";
import { expect, vi } from "vitest";

/** The number of schedules over the memory store in a normal run. Other stores play a fraction of them. */
export const normalRuns = 3000;

/** The seed of a normal run. It is fixed, so only a change of the code can break the test. */
const normalSeed = 2;

/** How long a broken schedule is simplified, in seconds. */
const secondsToSimplify = 30;

const { SIMULATION_RUNS = normalRuns, SIMULATION_SEED = normalSeed, SIMULATION_PATH } = process.env;

/** How many schedules are played instead of `runs`. `SIMULATION_RUNS` plays more. */
export const scaleRuns = (runs: number): number => Math.ceil((Number(SIMULATION_RUNS) / normalRuns) * runs);

/** How to play schedules. */
export interface Player<T> {
  /** The test, for the command that plays a schedule again. */
  command: string;
  plans: fc.Arbitrary<T>;
  /** Rejects if the schedule breaks an invariant. `floating` collects unhandled rejections. */
  play(plan: T, floating: unknown[]): Promise<void>;
  /** Plays a schedule for its trace. */
  trace(plan: T): Promise<readonly string[]>;
}

/**
 * Plays random schedules. Rejects with a report if one breaks an invariant.
 *
 * `SIMULATION_SEED=random` plays others than usual. `SIMULATION_SEED` and `SIMULATION_PATH` with the values of a report play that schedule again.
 */
export async function checkSchedules<T>(numRuns: number, { command, plans, play, trace }: Player<T>): Promise<void> {
  const floating: unknown[] = [];
  const note = (error: unknown) => void floating.push(error);
  process.on("unhandledRejection", note);
  let until = Infinity;
  const playInTime = async (plan: T) => {
    // The search for a simpler schedule is limited in time.
    if (process.uptime() > until) return;
    floating.length = 0;
    await play(plan, floating).catch((error: unknown) => {
      until = Math.min(until, process.uptime() + secondsToSimplify);
      throw error;
    });
  };
  try {
    const result = await fc.check(fc.asyncProperty(plans, playInTime), {
      numRuns,
      ...(SIMULATION_SEED !== "random" && { seed: Number(SIMULATION_SEED) }),
      ...(SIMULATION_PATH !== undefined && { path: SIMULATION_PATH }),
    });
    if (result.failed) throw new Error(await explain(command, result, trace));
    // A path starts at its own schedule.
    expect(SIMULATION_PATH ?? result.numRuns).toBe(SIMULATION_PATH ?? numRuns);
  } finally {
    process.off("unhandledRejection", note);
    vi.useRealTimers();
  }
}

/** The report: the broken invariant, the command that plays it again, and the trace. */
async function explain<T>(command: string, result: fc.RunDetails<[T]>, trace: Player<T>["trace"]): Promise<string> {
  const { seed, counterexamplePath, counterexample, errorInstance, numRuns, numShrinks } = result;
  const lines = [
    errorInstance instanceof Error ? errorInstance.message : String(errorInstance),
    "",
    `Found in schedule ${numRuns}, made simpler ${numShrinks} times. To play it again:`,
    `SIMULATION_SEED=${seed} SIMULATION_PATH=${counterexamplePath} ${command}`,
  ];
  for (const plan of counterexample ?? []) lines.push("", fc.stringify(plan), "", ...(await trace(plan)));
  return lines.join("\n");
}
