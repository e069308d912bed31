/** Proves the kit: it finds each wrong coordinator out by the invariant that it breaks. */
import { describe, expect, test } from "vitest";
import { coordinatorInvariants } from "../../src/lib/testkit/coordinator/invariants.ts";
import { coordinatorCases, InvariantError, type CoordinatorSubject, type KitCase } from "../../src/testkit.ts";
import { brokenHints, brokenInstances, brokenKeys } from "./broken-connections.ts";
import type { BrokenCoordinator } from "./broken-coordinators.ts";
import { brokenLeases } from "./broken-leases.ts";
import { brokenLogs } from "./broken-logs.ts";
import { brokenQueues } from "./broken-queues.ts";
import { brokenFollowers, brokenStops } from "./broken-stops.ts";
import { openOn, settableClock, type Opened } from "./coordinator-subject.ts";
import { createSimpleCoordinator, forgetAll } from "./simple-coordinator.ts";

const all = {
  queues: brokenQueues,
  leases: brokenLeases,
  logs: brokenLogs,
  stops: brokenStops,
  followers: brokenFollowers,
  keys: brokenKeys,
  instances: brokenInstances,
  hints: brokenHints,
} satisfies Record<string, BrokenCoordinator[]>;

function subjectOf(create: BrokenCoordinator["create"]): CoordinatorSubject<Opened> {
  return {
    create: (times) => openOn(settableClock(), create)(times),
    peer: ({ withTimes }, times) => withTimes(times),
    hints: true,
    forget: ({ data }) => forgetAll(data),
    advance: (ms, { clock }) => clock.advance(ms),
  };
}

async function firstFailure(cases: readonly KitCase[]): Promise<InvariantError | undefined> {
  for (const { run } of cases) {
    const error = await run().catch((error: unknown) => error);
    if (error instanceof InvariantError) return error;
    expect(error).toBeUndefined();
  }
  return undefined;
}

async function checkThatItIsCaught({ breaks, caughtBy, faulty, create }: BrokenCoordinator): Promise<void> {
  const invariant = coordinatorInvariants[breaks];
  const cases = coordinatorCases(subjectOf(create), { timeout: 20_000 }).filter(
    (one) => one.invariant === invariant && one.name.split(", between ")[0] === caughtBy,
  );
  expect(cases).not.toEqual([]);
  const failure = await firstFailure(cases);
  expect(failure?.message).toContain(`INVARIANT: ${invariant}`);
  if (faulty.includes("subscribe")) return; // its calls are not recorded
  const [finding] = failure!.message.split("\n\nThe other calls:");
  expect(finding).toMatch(new RegExp(faulty.map((method) => `\\.${method}\\(`).join("|")));
}

const { hints, ...others } = all;

describe.each(Object.entries(others))("broken %s", (_, coordinators) => {
  test.each(coordinators)('a coordinator that "$name" breaks "$breaks"', checkThatItIsCaught);
});

// At once, because the cases wait for hints that do not come.
describe.concurrent("broken hints", () => {
  test.each(hints)('a coordinator that "$name" breaks "$breaks"', checkThatItIsCaught);
});

test("every invariant has a case, and a coordinator that breaks it", () => {
  const proven = new Set(coordinatorCases(subjectOf(createSimpleCoordinator)).map(({ invariant }) => invariant));
  const wrong = new Set(
    Object.values(all)
      .flat()
      .map(({ breaks }) => breaks),
  );
  for (const [name, invariant] of Object.entries(coordinatorInvariants)) {
    expect(proven).toContain(invariant);
    expect(wrong).toContain(name);
  }
});
