/** Proves the kit: it passes a right store, and finds each wrong one out by the invariant that it breaks. */
import { describe, expect, test } from "vitest";
import type { ThreadStore } from "../../src/index.ts";
import { storeInvariants } from "../../src/lib/testkit/invariants.ts";
import { messageStoreCases, InvariantError, testMessageStore, type KitCase, type ThreadStoreSubject } from "../../src/testkit.ts";
import { brokenAnswers } from "./broken-answers.ts";
import { brokenAppends } from "./broken-appends.ts";
import { brokenBounds } from "./broken-bounds.ts";
import { brokenChanges } from "./broken-changes.ts";
import { brokenCaches } from "./broken-caches.ts";
import { brokenClocks } from "./broken-clocks.ts";
import { brokenDeletions } from "./broken-deletions.ts";
import { brokenFilters } from "./broken-filters.ts";
import { brokenHalves } from "./broken-halves.ts";
import { brokenIds } from "./broken-ids.ts";
import { brokenLists } from "./broken-lists.ts";
import { brokenContents, brokenInstances, brokenKeys, brokenListings } from "./broken-messages.ts";
import { brokenRaces } from "./broken-races.ts";
import { brokenSizes } from "./broken-sizes.ts";
import { brokenThreads } from "./broken-threads.ts";
import { brokenValues } from "./broken-values.ts";
import { copyOf, createSimpleStore, noData, type Data } from "./simple-store.ts";

/** A store on data of its own, with peers, reopened from a copy of the data. */
function subjectOf(create: (data: Data) => ThreadStore): ThreadStoreSubject<ThreadStore & { data: Data }> {
  const open = (data: Data) => ({ ...create(data), data });
  return { threads: true, create: () => open(noData()), peer: ({ data }) => open(data), reopen: ({ data }) => open(copyOf(data)) };
}

async function firstFailure(cases: readonly KitCase[]): Promise<InvariantError | undefined> {
  for (const { run } of cases) {
    const error = await run().catch((error: unknown) => error);
    if (error instanceof InvariantError) return error;
    expect(error).toBeUndefined();
  }
  return undefined;
}

testMessageStore("a right store", subjectOf(createSimpleStore), { test });

describe.each([
  ["reads", brokenListings],
  ["bounds", brokenBounds],
  ["contents", brokenContents],
  ["keys", brokenKeys],
  ["instances", brokenInstances],
  ["appends", brokenAppends],
  ["replacesAnswerTo", brokenAnswers],
  ["changes", brokenChanges],
  ["threads", brokenThreads],
  ["lists", brokenLists],
  ["ids", brokenIds],
  ["filters", brokenFilters],
  ["sizes", brokenSizes],
  ["values", brokenValues],
  ["caches", brokenCaches],
  ["clocks", brokenClocks],
  ["races and failures", brokenRaces],
  ["reads and deletions", brokenDeletions],
  ["halves", brokenHalves],
])("broken %s", (_, stores) => {
  test.each(stores)('a store that "$name" breaks "$breaks"', async ({ breaks, caughtBy, faulty, create }) => {
    const invariant = storeInvariants[breaks];
    const isMeant = (one: KitCase) =>
      one.invariant === invariant && (caughtBy === undefined || one.name.split(", between ")[0] === caughtBy);
    const cases = messageStoreCases(subjectOf(create), { timeout: 3_000 }).filter(isMeant);
    expect(cases).not.toEqual([]);
    const failure = await firstFailure(cases);
    expect(failure?.message).toContain(`INVARIANT: ${invariant}`);
    expect(failure?.calls).not.toEqual([]);
    const [finding] = failure!.message.split("\n\nThe other calls:");
    expect(finding).toMatch(new RegExp(faulty.join("|")));
  });
});
