/** The kit for coordinators. */
import type { Coordinator } from "../../core/coordinator.ts";
import { coordinatorMethods } from "../../core/coordinator.ts";
import { throwUsageError } from "../../core/usage-error.ts";
import { expectEqual, expectThat, show } from "../expect.ts";
import { defaultTimeout, registerCases, type CaseOptions, type TestOptions } from "../register.ts";
import type { KitCase } from "../run.ts";
import { runCoordinatorCase, type CoordinatorCase } from "./case.ts";
import { closingCases } from "./cases/closing.ts";
import { endingCases } from "./cases/ending.ts";
import { enteringCases } from "./cases/entering.ts";
import { forgettingCases } from "./cases/forgetting.ts";
import { hintCases } from "./cases/hints.ts";
import { coordinatorInstanceCases } from "./cases/instances.ts";
import { coordinatorKeyCases } from "./cases/keys.ts";
import { leaseCases } from "./cases/leases.ts";
import { logCases } from "./cases/logs.ts";
import { policyCases } from "./cases/policies.ts";
import { queueRaceCases } from "./cases/queue-races.ts";
import { stopCases } from "./cases/stops.ts";
import { threadCases } from "./cases/threads.ts";
import { turnRaceCases } from "./cases/turn-races.ts";
import { coordinatorInvariants } from "./invariants.ts";
import type { CoordinatorSubject } from "./subject.ts";

const cases: CoordinatorCase[] = [
  ...enteringCases,
  ...policyCases,
  ...leaseCases,
  ...forgettingCases,
  ...logCases,
  ...endingCases,
  ...closingCases,
  ...stopCases,
  ...threadCases,
  ...queueRaceCases,
  ...turnRaceCases,
  ...coordinatorKeyCases,
  ...coordinatorInstanceCases,
  ...hintCases,
];

const settingTypes = {
  leaseMs: "number",
  retentionMs: "number",
  followMs: "number",
  ticketPollMs: "number",
  logPollMs: "number",
  flushMs: "number",
  whenUnreachable: "string",
  whenUnrenewed: "string",
} as const;

/** Every subject has this case. Hints must not be missing silently, nor be there untested. */
function membersCase(hints: unknown): CoordinatorCase {
  return {
    name: "the coordinator has what it declares",
    invariant: "members",
    async body({ one, other, open }) {
      const missing = coordinatorMethods.filter((name) => !Object.keys(one).includes(name));
      expectThat(missing.length === 0, `The coordinator has no ${missing.join(", ")}`);
      for (const [name, type] of Object.entries(settingTypes)) {
        const value: unknown = Reflect.get(Object(one.settings), name);
        expectThat(typeof value === type, `settings.${name} must be a ${type}, not ${show(value)}`);
      }
      const { leaseMs, retentionMs } = (await open({ leaseMs: 200, retentionMs: 300 })).settings;
      expectEqual([leaseMs, retentionMs], [200, 300], "leaseMs and retentionMs of a peer that was opened with others");
      for (const coordinator of [one, other])
        expectThat(
          hints === (coordinator.subscribe !== undefined),
          "Declare `hints: true` for a coordinator with `subscribe`, or `hints: false` for one without it",
        );
    },
  };
}

/** A subject, for the errors. */
const example = "{ create: (times) => createMyCoordinator(times), peer: …, hints: false }";

/**
 * Returns the cases for a coordinator as a list, for a test runner of your own. Run those without `skip`, and report those with it as skipped.
 *
 * @throws TypeError if the subject has no `create` or no `peer`, for example because it is a coordinator.
 *
 * @example
 * for (const { name, skip, run } of coordinatorCases(subject)) {
 *   if (skip === undefined) await run();
 *   else console.log(`${name}: skipped, ${skip}`);
 * }
 */
export function coordinatorCases<Instance extends Coordinator>(
  subject: CoordinatorSubject<Instance>,
  { timeout = defaultTimeout }: CaseOptions = {},
): KitCase[] {
  for (const name of ["create", "peer"] as const)
    if (typeof subject?.[name] !== "function") throwUsageError(`there is no ${name}(): pass ${example}`);

  const skips = {
    forget: subject.forget ? undefined : "`forget` is not given",
    hints: subject.hints ? undefined : "the coordinator has no hints",
    databaseClock: subject.usesProcessClock ? "the database uses the clock of this process" : undefined,
  };
  return [membersCase(subject.hints), ...cases].map((definition) => {
    const { name, invariant, needs, waits = false } = definition;
    const skip = needs && skips[needs];
    const limit = waits ? timeout * 4 : timeout;
    return {
      name,
      invariant: coordinatorInvariants[invariant],
      ...(skip && { skip }),
      timeout: limit,
      run: () => runCoordinatorCase(definition, subject, limit),
    };
  });
}

/**
 * Registers the cases for a coordinator as tests, named after the coordinator and the case. Cases that need what the coordinator does not have,
 * or what you did not pass (`forget`), are registered as skipped.
 *
 * @throws TypeError if there is no test function, neither passed nor global, if the name is not a string, or if the subject has no `create`
 * or no `peer`.
 *
 * @example
 * testCoordinator(
 *   "my coordinator",
 *   {
 *     create: (times) => createMyCoordinator(emptyDatabase(), times),
 *     peer: (first, times) => createMyCoordinator(first.database, times),
 *     hints: false,
 *   },
 *   { test },
 * );
 */
export function testCoordinator<Instance extends Coordinator>(
  name: string,
  subject: CoordinatorSubject<Instance>,
  options: TestOptions = {},
): void {
  registerCases(name, (limits) => coordinatorCases(subject, limits), options, {
    function: "testCoordinator",
    example: `testCoordinator("my coordinator", ${example})`,
  });
}
