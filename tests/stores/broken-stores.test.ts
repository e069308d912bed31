/** Proves the kit: it passes a right store, and finds each wrong one out by the invariant that it breaks. */
import { describe, expect, test } from "vitest";
import type { ThreadStore } from "../../src/index.ts";
import { storeInvariants } from "../../src/lib/testkit/invariants.ts";
import { messageStoreCases, StoreInvariantError, testMessageStore, type StoreCase, type ThreadStoreSubject } from "../../src/testkit.ts";
import { brokenAnswers } from "./broken-answers.ts";
import { brokenAppends } from "./broken-appends.ts";
import { brokenChanges } from "./broken-changes.ts";
import { brokenLists } from "./broken-lists.ts";
import { brokenContents, brokenInstances, brokenKeys, brokenListings } from "./broken-messages.ts";
import { brokenThreads } from "./broken-threads.ts";
import { copyOf, createSimpleStore, noData, type Data } from "./simple-store.ts";

/** A store on data of its own, with peers, reopened from a copy of the data. */
function subjectOf(create: (data: Data) => ThreadStore): ThreadStoreSubject<ThreadStore & { data: Data }> {
  const open = (data: Data) => ({ ...create(data), data });
  return { threads: true, create: () => open(noData()), peer: ({ data }) => open(data), reopen: ({ data }) => open(copyOf(data)) };
}

async function firstFailure(cases: readonly StoreCase[]): Promise<StoreInvariantError | undefined> {
  for (const { run } of cases) {
    const error = await run().catch((error: unknown) => error);
    if (error instanceof StoreInvariantError) return error;
    expect(error).toBeUndefined();
  }
  return undefined;
}

testMessageStore("a right store", subjectOf(createSimpleStore), { test });

describe.each([
  ["reads", brokenListings],
  ["contents", brokenContents],
  ["keys", brokenKeys],
  ["instances", brokenInstances],
  ["appends", brokenAppends],
  ["replacesAnswerTo", brokenAnswers],
  ["changes", brokenChanges],
  ["threads", brokenThreads],
  ["lists", brokenLists],
])("broken %s", (_, stores) => {
  test.each(stores)('a store that "$name" breaks "$breaks"', async ({ breaks, create }) => {
    const invariant = storeInvariants[breaks];
    const cases = messageStoreCases(subjectOf(create), { timeout: 2_000 }).filter((one) => one.invariant === invariant);
    const failure = await firstFailure(cases);
    expect(failure?.message).toContain(`INVARIANT: ${invariant}`);
    expect(failure?.calls).not.toEqual([]);
  });
});
