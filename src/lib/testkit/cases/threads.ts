/** Threads: making, naming, getting, deleting. */
import { expectEqual, expectThat, show } from "../expect.ts";
import type { ThreadCase } from "../case.ts";
import type { Thread, ThreadKey, ThreadStore } from "../../core/store.ts";
import { hardIds, hardTexts, here, idsOf, key, oddIds, oddTexts, part, prompt, prompts } from "../samples.ts";

/** Owner and thread id, listed and got in one: fails unless both say the same. */
async function theThread(store: ThreadStore, thread = here): Promise<Thread | undefined> {
  const got = await store.getThread(thread);
  const { threads } = await store.listThreads(thread.owner, { limit: 1_000 });
  const listed = threads.find(({ threadId }) => threadId === thread.threadId);
  expectEqual(got, listed, `What getThread gives for ${show(thread)}, against the list`);
  return got;
}

export const threadCases: ThreadCase[] = [
  {
    name: "a thread is there from its first message on",
    invariant: "threadOfMessages",
    async body(store) {
      expectEqual(await theThread(store), undefined, "The thread before its first message");
      await store.appendMessages(here, prompts("a"));
      expectThat((await theThread(store)) !== undefined, "There is no thread after its first message");
      await store.deleteMessages(here, ["a"]);
      expectThat((await theThread(store)) !== undefined, "There is no thread after its messages were deleted");
      await store.appendMessages(here, prompts("a"));
      expectEqual((await store.listThreads("", { limit: 10 })).threads.length, 1, "How many threads there are");
    },
  },
  {
    name: "calls that store nothing create no thread",
    invariant: "threadOfMessages",
    async body(store) {
      await store.listMessages(here);
      await store.appendMessages(here, [part("a", "x")], { replacesAnswerTo: "x", title: "A title" });
      await store.updateMessage(here, "a", { status: "failed" });
      await store.deleteMessages(here, ["a"]);
      const poison = {
        ...prompt("b"),
        get createdAt(): number {
          throw new Error("This getter throws");
        },
      };
      await store.appendMessages(here, [prompt("a"), poison], { title: "A title" }).catch(() => {});
      expectEqual(await theThread(store), undefined, "The thread");
      expectEqual((await store.listThreads("", { limit: 10 })).threads, [], "The list");
    },
  },
  {
    name: "an empty batch creates no thread",
    invariant: "emptyBatch",
    async body(store) {
      await store.appendMessages(here, [], { title: "A title" });
      expectEqual(await theThread(store), undefined, "The thread");
      await store.appendMessages(here, prompts("a"), { title: "Another title" });
      expectEqual((await theThread(store))?.title, "Another title", "The title given by the first message");
    },
  },
  {
    name: "the title comes from the append that creates the thread",
    invariant: "title",
    async body(store) {
      await store.appendMessages(here, prompts("a"), { title: "First" });
      await store.appendMessages(here, prompts("b"), { title: "Second" });
      await store.appendMessages(here, prompts("a"), { title: "Third" });
      expectEqual((await theThread(store))?.title, "First", "The title");
      await store.appendMessages(key("untitled"), prompts("a"));
      await store.appendMessages(key("untitled"), prompts("b"), { title: "Second" });
      expectEqual((await theThread(store, key("untitled")))?.title, "", "The title of a thread created without one");
      await store.createThread(key("created"), "");
      await store.appendMessages(key("created"), prompts("a"), { title: "Second" });
      expectEqual((await theThread(store, key("created")))?.title, "", "The title of a thread created with an empty one");
    },
  },
  {
    name: "a thread says when it was made and when it last grew",
    invariant: "threadTimes",
    async body(store) {
      await store.appendMessages(here, [{ ...prompt("a"), createdAt: 1 }]);
      const first = await theThread(store);
      expectThat(first !== undefined, "There is no thread after its first message");
      const { createdAt, updatedAt } = first;
      const aDay = 86_400_000;
      expectThat(Math.abs(createdAt - Date.now()) < aDay, `createdAt is ${show(createdAt)}, which is not about now in epoch milliseconds`);
      expectThat(Math.abs(updatedAt - createdAt) < aDay, `updatedAt is ${show(updatedAt)}, which is not about now in epoch milliseconds`);

      await new Promise((resolve) => setTimeout(resolve, 25));
      await store.renameThread(here, "New title");
      await store.updateMessage(here, "a", { status: "stopped" });
      expectEqual(await theThread(store), { ...first, title: "New title" }, "The thread after a rename and an update");
      await store.appendMessages(here, prompts("b"));
      const grown = await theThread(store);
      expectEqual(grown?.createdAt, createdAt, "createdAt after an append");
      expectThat(
        grown !== undefined && grown.updatedAt > updatedAt,
        `updatedAt was ${updatedAt}, and 25 ms later, after an append, it is ${grown?.updatedAt}`,
      );
    },
  },
  {
    name: "one thread is given as it is listed, to its owner alone",
    invariant: "getThread",
    async body(store) {
      await store.appendMessages(here, prompts("a"), { title: "A title" });
      await store.createThread(key("created", "someone"), "Another title");
      expectEqual((await theThread(store))?.title, "A title", "The title");
      expectEqual(
        (await theThread(store, key("created", "someone")))?.title,
        "Another title",
        "The title of another's thread, for its owner",
      );
      for (const thread of [key("created"), key(here.threadId, "someone"), key("unknown"), key("unknown", "unknown")]) {
        expectEqual(await theThread(store, thread), undefined, `The thread ${show(thread)}`);
      }
    },
  },
  {
    name: "creating a thread that is there leaves it as it is",
    invariant: "createOnce",
    async body(store) {
      const created = await store.createThread(here, "First");
      expectEqual(
        { ...created, createdAt: 0, updatedAt: 0 },
        { threadId: here.threadId, title: "First", createdAt: 0, updatedAt: 0 },
        "The new thread",
      );
      expectEqual(await store.listMessages(here), [], "Its messages");
      expectEqual(await store.createThread(here, "Second"), created, "The thread, created again");
      await store.appendMessages(here, prompts("a"));
      const grown = await theThread(store);
      await store.appendMessages(key("another"), prompts("a"));
      expectEqual(await store.createThread(here, "Third"), grown, "The thread, created again after an append");
      expectEqual(await store.listMessages(here), prompts("a"), "Its messages");
      const { threads } = await store.listThreads("", { limit: 10 });
      expectEqual(
        threads.map(({ threadId }) => threadId),
        ["another", here.threadId],
        "The list",
      );
    },
  },
  {
    name: "renaming changes the title alone",
    invariant: "rename",
    async body(store) {
      await store.appendMessages(here, prompts("a"), { title: "First" });
      await store.createThread(key(here.threadId, "someone"), "Another's");
      const before = await theThread(store);
      expectEqual(await store.renameThread(here, "Second"), true, "What renaming resolved to");
      expectEqual(await theThread(store), { ...before, title: "Second" }, "The thread");
      expectEqual(await store.listMessages(here), prompts("a"), "Its messages");
      expectEqual((await theThread(store, key(here.threadId, "someone")))?.title, "Another's", "The title of another's thread of that id");
      for (const unknown of [key("unknown"), key("unknown", "someone"), key(here.threadId, "unknown")]) {
        expectEqual(await store.renameThread(unknown, "Third"), false, `What renaming ${show(unknown)} resolved to`);
        expectEqual(await theThread(store, unknown), undefined, `The thread ${show(unknown)}`);
      }
      expectEqual(await store.renameThread(here, ""), true, "What renaming to an empty title resolved to");
      expectEqual((await theThread(store))?.title, "", "The empty title");
    },
  },
  {
    name: "any title is kept exactly, or refused where it holds NUL or lone surrogates",
    invariant: "whole",
    async body(store) {
      for (const [index, title] of [...oddTexts, ...hardTexts].entries()) {
        const mayRefuse = index >= oddTexts.length;
        const refused = (error: unknown) => {
          if (!mayRefuse) throw error;
          return undefined;
        };
        const thread = key(`thread.${index}`);
        if (await store.appendMessages(thread, prompts("a"), { title }).catch(refused)) {
          expectEqual((await theThread(store, thread))?.title, title, `The title given by an append`);
        } else expectEqual(await theThread(store, thread), undefined, "The thread whose title was refused");
        await store.createThread(here, "Old title");
        const renamed = await store.renameThread(here, title).catch(refused);
        expectEqual((await theThread(store))?.title, renamed ? title : "Old title", "The title given by a rename");
        await store.deleteThread(here);
      }
    },
  },
  {
    name: "changing a thread that was handed out changes nothing stored",
    invariant: "copiesOut",
    async body(store) {
      const created = await store.createThread(here, "A title");
      created.title = "changed";
      const got = await store.getThread(here);
      expectEqual(got?.title, "A title", "The title");
      if (got) got.title = "changed";
      const { threads } = await store.listThreads("", { limit: 10 });
      expectEqual(
        threads.map(({ title }) => title),
        ["A title"],
        "The titles in the list",
      );
      for (const thread of threads) thread.updatedAt = 0;
      threads.length = 0;
      expectEqual((await theThread(store))?.title, "A title", "The title");
      expectThat((await theThread(store))?.updatedAt !== 0, "updatedAt was changed from outside");
    },
  },
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
        await store.appendMessages(here, [part("c", "a")], { replacesAnswerTo: "a" }),
        [],
        "The ids of an answer to what was deleted",
      );
      expectEqual(await theThread(store), undefined, "The thread after calls that must not bring it back");
      expectEqual(
        await store.appendMessages(here, prompts("b"), { title: "New title" }),
        ["b"],
        "The ids of an append to the thread, made anew",
      );
      expectEqual(idsOf(await store.listMessages(here)), ["b"], "The messages of the thread, made anew");
      expectEqual((await theThread(store))?.title, "New title", "The title of the thread, made anew");
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
      expectEqual(idsOf(await store.listMessages(key("b", "ada"))), ["n"], "The messages of a thread made anew");
      expectEqual(
        (await store.listThreads("ada", { limit: 10 })).threads.map(({ title }) => title),
        ["New title"],
        "The titles of the owner made anew",
      );
    },
  },
];
