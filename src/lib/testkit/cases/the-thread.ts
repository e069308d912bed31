/** Looks a thread up in both ways. */
import { expectEqual, show } from "../expect.ts";
import type { Thread, ThreadKey, ThreadStore } from "../../core/store.ts";
import { here } from "../samples.ts";

/** Returns the thread. Fails unless getThread and the list agree on it. */
export async function theThread(store: ThreadStore, thread: ThreadKey = here): Promise<Thread | undefined> {
  const got = await store.getThread(thread);
  const { threads } = await store.listThreads(thread.owner, { limit: 1_000 });
  const listed = threads.find(({ threadId }) => threadId === thread.threadId);
  expectEqual(got, listed, `What getThread gives for ${show(thread)}, against the list`);
  return got;
}
