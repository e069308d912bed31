/** The kit passes a correct coordinator: on a clock that the kit sets, and on one that runs. */
import { test } from "vitest";
import { testCoordinator, type CoordinatorSubject } from "../../src/testkit.ts";
import { openOn, runningClock, settableClock, type Opened } from "./coordinator-subject.ts";
import { createSimpleCoordinator, forgetAll } from "./simple-coordinator.ts";

const subject: CoordinatorSubject<Opened> = {
  create: (times) => openOn(runningClock, createSimpleCoordinator)(times),
  peer: ({ withTimes }, times) => withTimes(times),
  hints: true,
  forget: ({ data }) => forgetAll(data),
};

testCoordinator("a correct coordinator", subject, { test });

testCoordinator(
  "a correct coordinator on a clock that the kit sets",
  {
    ...subject,
    create: (times) => openOn(settableClock(), createSimpleCoordinator)(times),
    advance: (ms, { clock }) => clock.advance(ms),
  },
  { test },
);
