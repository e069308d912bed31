/** The kit passes a correct coordinator: on a clock that the kit sets, and on one that runs. */
import { test } from "vitest";
import { testCoordinator, type CoordinatorSubject } from "../../src/testkit.ts";
import { createSimpleCoordinator, forgetAll, noCoordinatorData } from "./simple-coordinator.ts";

function open(clock: { now: () => number }) {
  const data = noCoordinatorData();
  const withTimes = (times: object) => ({ ...createSimpleCoordinator(data, { ...times, now: clock.now }), data, clock, withTimes });
  return withTimes;
}

type Opened = ReturnType<ReturnType<typeof open>>;

const subject: CoordinatorSubject<Opened> = {
  create: (times) => open({ now: () => performance.now() })(times),
  peer: ({ withTimes }, times) => withTimes(times),
  hints: true,
  forget: ({ data }) => forgetAll(data),
};

function settable() {
  let time = 1_000_000;
  return { now: () => time, advance: (ms: number) => void (time += ms) };
}

testCoordinator("a correct coordinator", subject, { test });

testCoordinator(
  "a correct coordinator on a clock that the kit sets",
  {
    ...subject,
    create: (times) => open(settable())(times),
    advance: (ms, { clock }) => (clock as ReturnType<typeof settable>).advance(ms),
  },
  { test },
);
