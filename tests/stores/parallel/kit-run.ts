/** One run of the kit over a store that another run uses at the same time. */
import type { ThreadStore } from "../../../src/index.ts";
import { messageStoreCases, type ThreadStoreSubject } from "../../../src/testkit.ts";
import { prefixOwners } from "../../support/prefix-owners.ts";
import { prompts } from "../samples.ts";

/** Where each run leaves a message with its name: a reader of both sees that it was one store. */
export const meeting = { owner: "", threadId: "meeting" };

/** How a run went; times in epoch milliseconds. */
export interface KitRun {
  began: number;
  ended: number;
  passed: string[];
  skipped: string[];
  failed: string[];
}

/** An instance of the store. */
export interface Instance {
  store: ThreadStore;
  close?(): unknown;
}

/**
 * Runs all cases, one after the other, each in a space of its own within the shared tables. `open` gives an instance; only where
 * `many` is true does it give independent ones, so that there can be peers, and one can be closed and opened again.
 */
export async function runKit(name: string, open: () => Promise<Instance>, many: boolean): Promise<KitRun> {
  type Opened = ThreadStore & { space: string; close(): Promise<unknown> };
  const openIn = async (space: string): Promise<Opened> => {
    const { store, close } = await open();
    return { ...prefixOwners(store, space), space, close: async () => close?.() };
  };
  let spaces = 0;
  const subject: ThreadStoreSubject<Opened> = {
    threads: true,
    create: () => openIn(`${name} ${++spaces}: `),
    ...(many && {
      peer: ({ space }) => openIn(space),
      async reopen({ space, close }) {
        await close();
        return openIn(space);
      },
    }),
    async destroy({ close }) {
      await close();
    },
  };

  const { store, close } = await open();
  await store.appendMessages(meeting, prompts(name));
  await close?.();

  const now = () => performance.timeOrigin + performance.now(); // the kit's cases set Date.now() wrong
  const run: KitRun = { began: now(), ended: 0, passed: [], skipped: [], failed: [] };
  for (const { name, skip, run: runCase } of messageStoreCases(subject)) {
    if (skip) run.skipped.push(`${name}: ${skip}`);
    else
      await runCase().then(
        () => run.passed.push(name),
        (error: unknown) => run.failed.push(`${name}: ${String(error)}`),
      );
  }
  return { ...run, ended: now() };
}
