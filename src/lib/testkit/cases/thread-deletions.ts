/** Deleting threads and owners. */
import { expectEqual, show } from "../expect.ts";
import type { ThreadCase } from "../case.ts";
import type { ThreadKey } from "../../core/store.ts";
import { hardIds, here, idsOf, key, oddIds, partial, prompts } from "../samples.ts";
import { theThread } from "./the-thread.ts";

export const threadDeletionCases: ThreadCase[] = [
  {
    name: "odd owners and threads are kept apart in lists and deletions",
    invariant: "keys",
    async body(store) {
      const keys = oddIds.flatMap((id) => [key(id), key("thread", id)]);
      for (const id of hardIds) {
        for (const thread of [key(id), key("thread", id)])
          if (await store.createThread(thread, "").catch(() => undefined)) keys.push(thread);
      }
      for (const thread of keys) await store.createThread(thread, "");
      const deleted = new Set<ThreadKey>();
      for (const [index, thread] of keys.entries()) {
        expectEqual((await theThread(store, thread))?.threadId, thread.threadId, `The id of the thread ${show(thread)}`);
        const isOnlyOne = thread.owner !== ""; // of its owner
        if (index % 4 > 1) continue;
        if (isOnlyOne) await store.deleteOwner(thread.owner);
        else expectEqual(await store.deleteThread(thread), true, `What deleting ${show(thread)} resolved to`);
        deleted.add(thread);
      }
      for (const thread of keys) {
        const isThere = (await store.getThread(thread)) !== undefined;
        expectEqual(isThere, !deleted.has(thread), `Whether the thread ${show(thread)} is there after others were deleted`);
      }
    },
  },
  {
    name: "a deleted thread leaves nothing, and comes back empty",
    invariant: "deleteThread",
    async body(store) {
      const others = [key("another"), key(here.threadId, "someone"), key(`${here.threadId}:a`), key("", here.threadId)];
      for (const thread of [here, ...others]) await store.appendMessages(thread, prompts("a", "b"), { title: "Old title" });
      expectEqual(await store.deleteThread(here), true, "What deleting the thread resolved to");
      expectEqual(await theThread(store), undefined, "The thread");
      expectEqual(await store.listMessages(here), [], "Its messages");
      expectEqual(await store.deleteThread(here), false, "What deleting it again resolved to");
      expectEqual(await store.deleteThread(key("another", "someone")), false, "What deleting another's thread resolved to");
      for (const thread of others) {
        expectEqual(await store.listMessages(thread), prompts("a", "b"), `The messages of ${show(thread)}`);
        expectEqual((await theThread(store, thread))?.title, "Old title", `The title of ${show(thread)}`);
      }
      expectEqual(await store.updateMessage(here, "a", { status: "failed" }), false, "What an update in the deleted thread resolved to");
      expectEqual(await store.renameThread(here, "x"), false, "What renaming the deleted thread resolved to");
      expectEqual(
        await store.appendMessages(here, [partial("c", "a")], { replacesAnswerTo: "a" }),
        [],
        "The ids of an answer to what was deleted",
      );
      expectEqual(await theThread(store), undefined, "The thread after calls that must not bring it back");
      expectEqual(
        await store.appendMessages(here, prompts("b"), { title: "New title" }),
        ["b"],
        "The ids of an append to the thread, made again",
      );
      expectEqual(idsOf(await store.listMessages(here)), ["b"], "The messages of the thread, made again");
      expectEqual((await theThread(store))?.title, "New title", "The title of the thread, made again");
    },
  },
  {
    name: "a deleted owner leaves nothing, and no other owner is touched",
    invariant: "deleteOwner",
    async body(store) {
      const others = ["", "ADA", "ada ", "ada:b", "ada/b", "ada%", "ad_", "ad", "*", "ada*"];
      for (const owner of ["ada", ...others]) {
        for (const id of ["a", "b", "ada"]) await store.appendMessages(key(id, owner), prompts("m"), { title: "A title" });
      }
      await store.createThread(key("empty", "ada"), "");
      await store.deleteOwner("ada");
      await store.deleteOwner("unknown");
      expectEqual((await store.listThreads("ada", { limit: 10 })).threads, [], "The threads of the deleted owner");
      for (const id of ["a", "b", "ada", "empty"]) {
        expectEqual(await store.getThread(key(id, "ada")), undefined, `The deleted owner's thread "${id}"`);
        expectEqual(await store.listMessages(key(id, "ada")), [], `The messages of the deleted owner's thread "${id}"`);
      }
      for (const owner of others) {
        const { threads } = await store.listThreads(owner, { limit: 10 });
        expectEqual(
          threads.map(({ threadId }) => threadId),
          ["ada", "b", "a"],
          `The threads of the owner ${show(owner)}`,
        );
        expectEqual(await store.listMessages(key("a", owner)), prompts("m"), `The messages of a thread of the owner ${show(owner)}`);
      }
      await store.appendMessages(key("b", "ada"), prompts("n"), { title: "New title" });
      expectEqual(idsOf(await store.listMessages(key("b", "ada"))), ["n"], "The messages of a thread made again");
      expectEqual(
        (await store.listThreads("ada", { limit: 10 })).threads.map(({ title }) => title),
        ["New title"],
        "The titles of the owner made again",
      );
    },
  },
  {
    name: "a deleted thread is created as a new one",
    invariant: "deleteThread",
    async body(store) {
      for (const deletion of [() => store.deleteThread(here), () => store.deleteOwner("")]) {
        await store.createThread(here, "Old title");
        expectEqual(await store.deleteThread(here), true, "What deleting a thread without messages resolved to");
        await store.appendMessages(here, prompts("a"), { title: "Old title" });
        await deletion();
        const created = await store.createThread(here, "New title");
        expectEqual(created.title, "New title", "The title that createThread gave after the deletion");
        expectEqual(await theThread(store), created, "The thread, created after its deletion");
        expectEqual(await store.listMessages(here), [], "The messages of the thread, created after its deletion");
        expectEqual(await store.deleteThread(here), true, "What deleting a thread without messages resolved to");
        expectEqual(await store.deleteThread(here), false, "What deleting a thread that is gone resolved to");
      }
    },
  },
];
