/** Random schedules beside a hostile tenant, over every store. */
import fc from "fast-check";
import { expect, test, vi } from "vitest";
import { createMemoryStore, type ThreadStore } from "../../../src/index.ts";
import { describeWith, remedyFor } from "../../services/include.ts";
import { renameOwners } from "../../support/prefix-owners.ts";
import { checkSchedules, scaleRuns } from "../check-schedules.ts";
import { plans, threads } from "../plan.ts";
import type { OpenStore } from "../simulate.ts";
import { databases, openPglite, openSqlite } from "../stores.ts";
import { compareRuns, playBeside, type TwoTenants } from "./compare.ts";
import { hostileOwners, hostilePlans } from "./plan.ts";

/** The number of schedules over the memory store in a normal run. Each is played twice. */
const memoryRuns = 400;

/** Honest tenants with short answers need less than their share of the small memory store. */
const tenants: fc.Arbitrary<TwoTenants> = fc.record({
  honest: plans.map((plan) => ({ ...plan, scripts: plan.scripts.map((script) => ({ ...script, isLong: false })) })),
  hostile: hostilePlans,
});

/** A hostile tenant fills it. */
const openSmallMemory = async () => createMemoryStore({ maxThreads: 25, maxCharacters: 100_000 });

async function empty(store: ThreadStore): Promise<ThreadStore> {
  for (const { owner } of threads) await store.deleteOwner(owner);
  for (const owner of hostileOwners) await store.deleteOwner(owner);
  return store;
}

/** Registers a test. `open` returns a function that returns an empty store. */
function compare(name: string, runs: number, open: () => Promise<{ openEmpty: () => Promise<ThreadStore>; close?: OpenStore["close"] }>) {
  const numRuns = scaleRuns(runs);

  test(`a hostile tenant changes nothing for others over ${name}`, { timeout: 120_000 + numRuns * 300 }, async () => {
    const { openEmpty, close } = await open();
    try {
      await checkSchedules(numRuns, {
        command: `npx vitest run tests/simulation/hostile -t "others over ${name}"`,
        plans: tenants,
        play: (plan, floating) => compareRuns(plan, openEmpty, floating),
        trace: (plan) => trace(plan, openEmpty),
      });
    } finally {
      await close?.();
    }
  });
}

/** Plays a schedule beside its hostile tenant for its trace. */
async function trace({ honest, hostile }: TwoTenants, openEmpty: () => Promise<ThreadStore>): Promise<readonly string[]> {
  const lines: string[] = [];
  await playBeside(hostile, honest, await openEmpty(), [], lines).catch(() => {});
  return lines;
}

compare("memory", memoryRuns, async () => ({ openEmpty: openSmallMemory }));

const openDatabase = (open: () => Promise<OpenStore>) => async () => {
  const { store, close } = await open();
  return { openEmpty: () => empty(store), close };
};

compare("node:sqlite", 10, openDatabase(openSqlite));
compare("PGlite", 3, openDatabase(openPglite));

for (const [name, variable, open] of databases) {
  describeWith(
    name,
    Boolean(process.env[variable]),
    remedyFor(variable),
  )(name, () => {
    compare(name, 10, openDatabase(open));
  });
}

test("a store that confuses owners is found", { timeout: 120_000 }, async () => {
  const openConfused = async () => renameOwners(await openSmallMemory(), (owner) => owner.trim().toLowerCase());
  const hostile = hostilePlans.map((plan) => ({ ...plan, owner: "ADA" }));
  const confused = fc.record({ honest: plans, hostile });
  let found = 0;
  for (const plan of fc.sample(confused, { numRuns: 30, seed: 2 })) await compareRuns(plan, openConfused, []).catch(() => found++);
  vi.useRealTimers();
  expect(found).toBeGreaterThan(20);
});

test("a schedule beside a hostile tenant has the same trace each time", { timeout: 120_000 }, async () => {
  for (const plan of fc.sample(tenants, 50)) expect(await trace(plan, openSmallMemory)).toEqual(await trace(plan, openSmallMemory));
  vi.useRealTimers();
});
