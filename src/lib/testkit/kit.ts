/** The kit for stores. */
import { throwUsageError } from "../core/usage-error.ts";
import { type MessageStore, messageStoreMethods, type ThreadStore, threadStoreMethods } from "../core/store.ts";
import { runStoreCase, type CaseDefinition, type MessageCase, type ThreadCase } from "./case.ts";
import { answerRaceCases } from "./cases/answer-races.ts";
import { answeringCases } from "./cases/answering.ts";
import { appendingCases } from "./cases/appending.ts";
import { changeRaceCases } from "./cases/change-races.ts";
import { changingCases } from "./cases/changing.ts";
import { clockCases, threadClockCases } from "./cases/clocks.ts";
import { contentCases } from "./cases/content.ts";
import { deletionRaceCases } from "./cases/deletion-races.ts";
import { durabilityCases, threadDurabilityCases } from "./cases/durability.ts";
import { failureCases, threadFailureCases } from "./cases/failures.ts";
import { instanceCases, threadInstanceCases } from "./cases/instances.ts";
import { keyCases } from "./cases/keys.ts";
import { listingCases } from "./cases/listing.ts";
import { pageCases } from "./cases/pages.ts";
import { raceCases } from "./cases/races.ts";
import { readingCases } from "./cases/reading.ts";
import { similarIdCases, similarThreadCases } from "./cases/similar-ids.ts";
import { sizeCases } from "./cases/sizes.ts";
import { threadDeletionCases } from "./cases/thread-deletions.ts";
import { threadRaceCases } from "./cases/thread-races.ts";
import { threadSizeCases } from "./cases/thread-sizes.ts";
import { threadCases } from "./cases/threads.ts";
import { valueCases } from "./cases/values.ts";
import { expectThat } from "./expect.ts";
import { storeInvariants } from "./invariants.ts";
import { defaultTimeout, registerCases, type CaseOptions, type TestOptions } from "./register.ts";
import type { KitCase } from "./run.ts";
import type { MessageStoreSubject, ThreadStoreSubject } from "./subject.ts";

const messageCases: MessageCase[] = [
  ...listingCases,
  ...appendingCases,
  ...answeringCases,
  ...changingCases,
  ...contentCases,
  ...valueCases,
  ...keyCases,
  ...similarIdCases,
  ...failureCases,
  ...clockCases,
  ...raceCases,
  ...answerRaceCases,
  ...changeRaceCases,
  ...readingCases,
  ...durabilityCases,
  ...instanceCases,
  ...sizeCases,
];

const threadTierCases: ThreadCase[] = [
  ...threadCases,
  ...threadDeletionCases,
  ...similarThreadCases,
  ...pageCases,
  ...threadFailureCases,
  ...threadClockCases,
  ...threadRaceCases,
  ...deletionRaceCases,
  ...threadDurabilityCases,
  ...threadInstanceCases,
  ...threadSizeCases,
];

const remedy = "Declare `threads: true` for a store that implements ThreadStore, or `threads: false` for one that does not";

/** Every subject has this case. A tier must not pass silently if it is not declared, declared but missing, or there but declared missing. */
const tierCase: MessageCase = {
  name: "the store has the tiers it declares",
  invariant: "tiers",
  async body(store) {
    expectHas(store, messageStoreMethods);
    // A store with some of these methods may be work in progress.
    expectThat(missingOf(store, threadStoreMethods).length > 0, remedy);
  },
};

const threadTierCase: ThreadCase = {
  ...tierCase,
  async body(store) {
    expectHas(store, [...messageStoreMethods, ...threadStoreMethods]);
  },
};

const undeclaredCase: MessageCase = {
  ...tierCase,
  async body() {
    expectThat(false, remedy);
  },
};

const missingOf = (store: object, methods: readonly string[]) => methods.filter((name) => !Object.keys(store).includes(name));

function expectHas(store: object, methods: readonly string[]): void {
  const missing = missingOf(store, methods);
  expectThat(missing.length === 0, `The store has no ${missing.join(", ")}`);
}

/**
 * Returns the cases for a store as a list, for a test runner of your own. Run those without `skip`, and report those with it as skipped.
 *
 * @throws TypeError if the subject has no `create`, for example because it is a store.
 *
 * @example
 * for (const { name, skip, run } of messageStoreCases({ create: () => createMyStore(), threads: true })) {
 *   if (skip === undefined) await run();
 *   else console.log(`${name}: skipped, ${skip}`);
 * }
 */
export function messageStoreCases<Store extends ThreadStore>(subject: ThreadStoreSubject<Store>, options?: CaseOptions): KitCase[];
export function messageStoreCases<Store extends MessageStore>(subject: MessageStoreSubject<Store>, options?: CaseOptions): KitCase[];
export function messageStoreCases<Store extends ThreadStore>(
  subject: ThreadStoreSubject<Store> | MessageStoreSubject<Store>,
  { timeout = defaultTimeout }: CaseOptions = {},
): KitCase[] {
  if (typeof subject?.create !== "function") throwUsageError(`there is no create(): pass ${example}`);
  const { threads }: { threads?: unknown } = subject; // plain JavaScript may leave it out
  const tiers = threads === true ? threadTierCase : threads === false ? tierCase : undeclaredCase;
  const skipThreads = threads === true ? undefined : "the store has no threads";

  const asCase = (definition: CaseDefinition<Store>, skipTier?: string): KitCase => {
    const { name, invariant, needs } = definition;
    const skip = skipTier ?? (needs && !subject[needs] ? `\`${needs}\` is not given` : undefined);
    return {
      name,
      invariant: storeInvariants[invariant],
      ...(skip && { skip }),
      timeout,
      run: () => runStoreCase(definition, subject, timeout),
    };
  };
  return [
    asCase(tiers),
    ...messageCases.map((definition) => asCase(definition)),
    ...threadTierCases.map((definition) => asCase(definition, skipThreads)),
  ];
}

/** A subject, for the errors. */
const example = "{ create: () => createMyStore(), threads: true }";

/**
 * Registers the cases for a store as tests, named after the store and the case. Cases that need what the store does not have, or what you
 * did not pass (`peer`, `reopen`), are registered as skipped.
 *
 * @throws TypeError if there is no test function, neither passed nor global, if the name is not a string, or if the subject has no `create`.
 *
 * @example
 * testMessageStore("my store", { create: () => createMyStore(), threads: true }, { test });
 */
export function testMessageStore<Store extends ThreadStore>(name: string, subject: ThreadStoreSubject<Store>, options?: TestOptions): void;
export function testMessageStore<Store extends MessageStore>(
  name: string,
  subject: MessageStoreSubject<Store>,
  options?: TestOptions,
): void;
export function testMessageStore<Store extends ThreadStore>(
  name: string,
  subject: ThreadStoreSubject<Store> | MessageStoreSubject<Store>,
  options: TestOptions = {},
): void {
  registerCases(name, (limits) => messageStoreCases(subject as ThreadStoreSubject<Store>, limits), options, {
    function: "testMessageStore",
    example: `testMessageStore("my store", ${example})`,
  });
}
