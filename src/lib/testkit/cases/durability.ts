/** What a call did is seen by every instance, and by a store opened later. */
import { expectEqual } from "../expect.ts";
import type { MessageCase, ThreadCase } from "../case.ts";
import type { MessageStore, StoredMessage } from "../../core/store.ts";
import { answer, here, idsOf, key, partial, prompt, prompts } from "../samples.ts";

/** Appends, updates and deletes, and gives what must be there. */
async function fill(store: MessageStore): Promise<StoredMessage[]> {
  await store.appendMessages(here, [prompt("a"), answer("b", "a"), prompt("gone")]);
  await store.updateMessage(here, "b", { status: "stopped", finishReason: "length" });
  await store.appendMessages(here, prompts("c", "also gone"));
  await store.deleteMessages(here, ["gone", "also gone"]);
  await store.appendMessages(here, [partial("old step", "c"), partial("d", "c")], { replacesAnswerTo: "c" });
  await store.appendMessages(here, [partial("d", "c")], { replacesAnswerTo: "c" });
  return [prompt("a"), { ...answer("b", "a"), status: "stopped", finishReason: "length" }, prompt("c"), partial("d", "c")];
}

export const durabilityCases: MessageCase[] = [
  {
    name: "what was stored is there after reopening",
    invariant: "durable",
    needs: "reopen",
    async body(store, { reopen }) {
      const stored = await fill(store);
      const reopened = await reopen();
      expectEqual(await reopened.listMessages(here), stored, "The thread after reopening");
      expectEqual(
        await reopened.appendMessages(here, [prompt("a", "another text"), prompt("f")]),
        ["f"],
        "The ids of an append after reopening",
      );
      expectEqual(await reopened.listMessages(here), [...stored, prompt("f")], "The thread after an append");
      expectEqual(
        await reopened.appendMessages(here, [answer("e", "a")], { replacesAnswerTo: "a" }),
        ["e"],
        "The ids of an answer after reopening",
      );
      expectEqual(
        idsOf(await reopened.listMessages(here)),
        ["a", "c", "d", "f", "e"],
        "The thread after an answer in the place of a stopped one",
      );
    },
  },
  {
    name: "what one instance stored the other sees at once",
    invariant: "durable",
    needs: "peer",
    async body(store, { peer }) {
      const other = await peer();
      expectEqual(await other.listMessages(here), [], "The thread before anything was stored");
      const stored = await fill(store);
      expectEqual(await other.listMessages(here), stored, "The thread, seen by the other instance");
      await other.appendMessages(here, [answer("d", "c")], { replacesAnswerTo: "c" });
      expectEqual(
        await store.appendMessages(here, [answer("e", "c")], { replacesAnswerTo: "c" }),
        [],
        "The ids of an answer where the other answered",
      );
      await other.deleteMessages(here, ["a"]);
      expectEqual(idsOf(await store.listMessages(here)), ["b", "c", "d"], "The thread after the other instance changed it");
      expectEqual(
        await store.appendMessages(here, [answer("e", "a")], { replacesAnswerTo: "a" }),
        [],
        "The ids of an answer to what the other deleted",
      );
      expectEqual(
        await store.updateMessage(here, "a", { status: "failed" }),
        false,
        "What an update of a message the other deleted resolved to",
      );
    },
  },
];

export const threadDurabilityCases: ThreadCase[] = [
  {
    name: "threads are there after reopening, in their order",
    invariant: "durable",
    needs: "reopen",
    async body(store, { reopen }) {
      for (const id of ["a", "b", "c", "gone"]) await store.appendMessages(key(id), prompts("m"), { title: `Title of ${id}` });
      await store.createThread(key("d"), "Title of d");
      await store.renameThread(key("b"), "New title");
      await store.appendMessages(key("a"), prompts("n"));
      await store.deleteThread(key("gone"));
      await store.appendMessages(key("a", "gone"), prompts("m"));
      await store.deleteOwner("gone");
      const { threads } = await store.listThreads("", { limit: 10 });
      const reopened = await reopen();
      expectEqual((await reopened.listThreads("", { limit: 10 })).threads, threads, "The list after reopening");
      expectEqual(await reopened.listMessages(key("gone")), [], "The messages of a thread that deleteThread removed, after reopening");
      expectEqual(
        await reopened.listThreads("gone", { limit: 10 }),
        { threads: [] },
        "The list of an owner that deleteOwner removed, after reopening",
      );
      expectEqual(await reopened.listMessages(key("a", "gone")), [], "The messages of an owner that deleteOwner removed, after reopening");
      expectEqual(
        threads.map(({ threadId, title }) => [threadId, title]),
        [
          ["a", "Title of a"],
          ["d", "Title of d"],
          ["c", "Title of c"],
          ["b", "New title"],
        ],
        "The list",
      );
      await reopened.appendMessages(key("c"), prompts("n"));
      const [first] = (await reopened.listThreads("", { limit: 1 })).threads;
      expectEqual(first?.threadId, "c", "The latest thread after an append");
    },
  },
  {
    name: "threads that one instance changed the other sees at once",
    invariant: "durable",
    needs: "peer",
    async body(store, { peer }) {
      const other = await peer();
      await store.appendMessages(key("a"), prompts("m"), { title: "A" });
      await other.appendMessages(key("b"), prompts("m"), { title: "B" });
      await store.createThread(key("c"), "C");
      await other.renameThread(key("a"), "New title");
      await other.appendMessages(key("a"), prompts("n"));
      const { threads } = await store.listThreads("", { limit: 10 });
      expectEqual(
        threads.map(({ threadId, title }) => [threadId, title]),
        [
          ["a", "New title"],
          ["c", "C"],
          ["b", "B"],
        ],
        "The list",
      );
      expectEqual((await other.listThreads("", { limit: 10 })).threads, threads, "The list, seen by the other instance");
      await store.deleteThread(key("a"));
      expectEqual(await other.getThread(key("a")), undefined, "A thread that the first instance deleted");
      expectEqual(await other.listMessages(key("a")), [], "Its messages");
    },
  },
];
