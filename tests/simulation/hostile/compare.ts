/**
 * Plays each schedule twice over an empty store: alone, and beside a hostile tenant. The honest tenants must not notice the difference: the same
 * steps at the same times, the same bytes for each client, the same messages, titles and pages.
 */
import { isDeepStrictEqual } from "node:util";
import { vi } from "vitest";
import type { ThreadStore } from "../../../src/index.ts";
import { type Plan, threads } from "../plan.ts";
import { createRun } from "../run.ts";
import { createTenantClock } from "./clock.ts";
import { type HostilePlan, idle } from "./plan.ts";
import { createHostileTenant, type HostileTenant } from "./tenant.ts";

/** A schedule of honest tenants, and a hostile one beside them. */
export interface TwoTenants {
  honest: Plan;
  hostile: HostilePlan;
}

/** What the honest tenants notice of a run. */
interface Noticed {
  /** Each step, store call, model call and end of a request, with the time. */
  steps: readonly unknown[];
  /** What each client received, how it ended, and when it last read. */
  answers: readonly unknown[];
  /** The content of each thread, and what the thread routes show. */
  threads: readonly unknown[];
}

/**
 * Plays both runs. Throws if a run breaks an invariant, or if they differ.
 *
 * @param open - Returns an empty store.
 * @param floating - Collects unhandled rejections.
 */
export async function compareRuns({ honest, hostile }: TwoTenants, open: () => Promise<ThreadStore>, floating: unknown[]): Promise<void> {
  const alone = await playBeside(idle, honest, await open(), floating);
  const beside = await playBeside(hostile, honest, await open(), floating);
  for (const part of ["steps", "answers", "threads"] as const) {
    const [expected, found] = [alone[part], beside[part]];
    const index = Array.from({ length: Math.max(expected.length, found.length) }).findIndex(
      (_, index) => !isDeepStrictEqual(expected[index], found[index]),
    );
    if (index === -1) continue;
    throw new Error(
      `a hostile tenant changes nothing for others: the ${part} differ: ${JSON.stringify(expected[index])} became ${JSON.stringify(found[index])}`,
    );
  }
}

/**
 * Plays a schedule beside a hostile tenant. Returns what the honest tenants noticed.
 *
 * @param lines - Receives the steps of all tenants.
 */
export async function playBeside(
  hostile: HostilePlan,
  honest: Plan,
  store: ThreadStore,
  floating: readonly unknown[],
  lines: string[] = [],
): Promise<Noticed> {
  // Only the schedule advances the clock.
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "Date", "performance"], now: 1 });
  const clock = createTenantClock();
  let copied = 0;
  const copyHonest = () => {
    lines.push(...run.trace.slice(copied));
    copied = run.trace.length;
  };
  const tenant = createHostileTenant(hostile, honest.client, store, clock, (line) => {
    copyHonest();
    lines.push(`      hostile: ${line}`);
  });
  const run = createRun(honest, store, floating, tenant);
  try {
    await run.play();
    const answers = run.requests.map(({ receivedText, outcome, readAt }) => ({ receivedText, outcome, readAt }));
    const noticed = { steps: [...run.trace], answers, threads: await showThreads(store, tenant) };
    const left = await tenant.finish();
    if (left) throw new Error(`hostile turns end, too: ${left} did not`);
    if (floating.length > 0) throw new Error(`no rejection is unhandled: ${String(floating[0])}`);
    return noticed;
  } finally {
    copyHonest();
    clock.restore();
  }
}

/** Everything that the honest tenants see of their threads. The hostile tenant may be in the middle of its turns. */
async function showThreads(store: ThreadStore, tenant: HostileTenant): Promise<unknown[]> {
  const seen: unknown[] = [];
  for (const thread of threads) {
    const loaded = await tenant.showThreads(thread.owner, `/get?threadId=${encodeURIComponent(thread.threadId)}`);
    // The attempts are random.
    const messages = (await store.listMessages(thread)).map((message) => ({ ...message, attempt: undefined }));
    seen.push([thread, messages, loaded.status, await loaded.text()]);
  }
  for (const owner of new Set(threads.map(({ owner }) => owner))) {
    for (let cursor: string | undefined = ""; cursor !== undefined;) {
      const page = await tenant.showThreads(owner, `/get${cursor && `?cursor=${cursor}`}`);
      const list = (await page.json()) as { threads: { id: string; title: string }[]; nextCursor?: string };
      // Times are those of the database.
      seen.push([owner, list.threads.map(({ id, title }) => ({ id, title }))]);
      cursor = list.nextCursor;
    }
  }
  return seen;
}
