/** Many threads, and long ones: where a deletion or a walk ends at a page that nobody sees. */
import type { ThreadStore } from "../../core/store.ts";
import type { ThreadCase } from "../case.ts";
import { expectEqual } from "../expect.ts";
import { atOnce } from "../gate.ts";
import { here, idsOf, key, numbered, prompts } from "../samples.ts";
import { walk } from "./walk.ts";

/** Creates the threads one after the other, so that the last is the latest. */
async function create(store: ThreadStore, owner: string, ids: readonly string[]): Promise<void> {
  for (const id of ids) await store.createThread(key(id, owner), "");
}

export const threadSizeCases: ThreadCase[] = [
  {
    name: "a deleted thread of 1,200 messages comes back empty",
    invariant: "deleteThread",
    async body(store) {
      const ids = numbered("m", 1_200);
      for (const batch of [ids.slice(0, 600), ids.slice(600)]) await store.appendMessages(here, prompts(...batch));
      expectEqual(await store.deleteThread(here), true, "What deleting the thread resolved to");
      expectEqual(await store.appendMessages(here, prompts("m.5", "m.1150")), ["m.5", "m.1150"], "The ids of an append after the deletion");
      expectEqual(idsOf(await store.listMessages(here)), ["m.5", "m.1150"], "The messages after the deletion and the append");
    },
  },
  {
    name: "an owner of 1,050 threads is deleted whole",
    invariant: "deleteOwner",
    async body(store) {
      const ids = numbered("thread", 1_050);
      for (let from = 0; from < ids.length; from += 50) {
        await atOnce(ids.slice(from, from + 50).map((id) => () => store.createThread(key(id, "ada"), "")));
      }
      for (const index of [0, 500, 1_049]) await store.appendMessages(key(`thread.${index}`, "ada"), prompts("a"));
      const messages = prompts(...numbered("m", 1_200));
      for (const batch of [messages.slice(0, 600), messages.slice(600)]) await store.appendMessages(key("thread.7", "ada"), batch);
      await store.createThread(key("another", "ad"), "");
      await store.deleteOwner("ada");
      expectEqual(await walk(store, 1_000, "ada"), [], "The threads of the deleted owner");
      for (const index of [0, 500, 1_049])
        expectEqual(await store.listMessages(key(`thread.${index}`, "ada")), [], `The messages of the deleted owner's thread ${index}`);
      expectEqual(await walk(store, 10, "ad"), ["another"], "The threads of another owner");
      await store.appendMessages(key("thread.7", "ada"), prompts("m.5", "m.1150"));
      const left = idsOf(await store.listMessages(key("thread.7", "ada")));
      expectEqual(left, ["m.5", "m.1150"], "A thread that had 1,200 messages, after deleteOwner and an append");
    },
  },
  {
    name: "a walk over 300 threads meets each once",
    invariant: "pages",
    async body(store) {
      const ids = numbered("thread", 300);
      await create(store, "", ids);
      for (const limit of [7, 100, 150, 1_000]) {
        const met = await walk(store, limit);
        expectEqual(met, ids.toReversed(), `The threads met in pages of ${limit}`);
      }
    },
  },
];
