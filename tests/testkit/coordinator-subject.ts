/** Opens coordinators in memory for the kit. */
import type { Coordinator } from "../../src/lib/core/coordinator.ts";
import type { CoordinatorTimes } from "../../src/testkit.ts";
import { noCoordinatorData, type CoordinatorData, type SimpleCoordinatorOptions } from "./simple-coordinator.ts";

interface Clock {
  now(): number;
  advance(ms: number): void;
}

export interface Opened extends Coordinator {
  data: CoordinatorData;
  clock: Clock;
  /** Opens a peer. */
  withTimes(times: CoordinatorTimes): Opened;
}

/** Opens coordinators on data of their own. */
export function openOn(
  clock: Clock,
  create: (data: CoordinatorData, options: SimpleCoordinatorOptions) => Coordinator,
): (times: CoordinatorTimes) => Opened {
  const data = noCoordinatorData();
  const withTimes = (times: CoordinatorTimes): Opened => ({ ...create(data, { ...times, now: clock.now }), data, clock, withTimes });
  return withTimes;
}

/** A clock that stands until it is set forward. */
export function settableClock(): Clock {
  let time = 1_000_000;
  return { now: () => time, advance: (ms) => void (time += ms) };
}

/** A clock that runs, and that nobody can set. */
export const runningClock: Clock = {
  now: () => performance.now(),
  advance() {
    throw new Error("This clock cannot be set");
  },
};
