/** Listing threads: activity, pages, cursors. */
import { expectEqual, expectThat, show } from "../expect.ts";
import { walk } from "./walk.ts";
import { withClock } from "../clock.ts";
import type { ThreadCase } from "../case.ts";
import type { ThreadStore } from "../../core/store.ts";
import { answer, here, key, longId, longIds, numbered, oddIds, partial, prompt, prompts } from "../samples.ts";

/** Appends one message to a thread, one that it does not have yet. */
async function touch(store: ThreadStore, threadId: string, owner = ""): Promise<void> {
  const { length } = await store.listMessages(key(threadId, owner));
  await store.appendMessages(key(threadId, owner), prompts(`m.${length}`));
}

/** The cursors of an owner's pages, after the same changes each time. Others may do something between these. */
async function cursorsOf(store: ThreadStore, others: () => Promise<unknown>): Promise<(string | undefined)[]> {
  const owner = "owner";
  const cursors: (string | undefined)[] = [];
  for (const [index, id] of ["a", "b", "c", "d", "b", "e", "f", "a"].entries()) {
    await others();
    if (index % 3 === 0) await store.createThread(key(id, owner), "");
    else await touch(store, id, owner);
  }
  await store.deleteThread(key("d", owner));
  for (const limit of [1, 2]) {
    await walk(store, limit, owner, async (_, cursor) => {
      cursors.push(cursor);
      if (cursor !== undefined) await others();
    });
  }
  return cursors;
}

export const pageCases: ThreadCase[] = [
  {
    name: "the thread that was active last is listed first",
    invariant: "activity",
    async body(store) {
      for (const id of ["b", "a", "10", "9"]) await touch(store, id);
      await store.createThread(key("c"), "");
      expectEqual(await walk(store, 10), ["c", "9", "10", "a", "b"], "The list");
      await touch(store, "b");
      await touch(store, "10");
      await touch(store, "10");
      expectEqual(await walk(store, 10), ["10", "b", "c", "9", "a"], "The list after appends");
      await store.renameThread(key("a"), "New title");
      await store.updateMessage(key("9"), "m.0", { status: "failed" });
      expectEqual(await walk(store, 10), ["10", "b", "c", "9", "a"], "The list after a rename and an update");
      await store.deleteMessages(key("a"), ["m.0"]);
      expectEqual(await walk(store, 10), ["10", "b", "c", "9", "a"], "The list after a deletion of messages");
      await store.listMessages(key("9"));
      await store.getThread(key("9"));
      expectEqual(await walk(store, 10), ["10", "b", "c", "9", "a"], "The list after a thread was read");
      await store.createThread(key("9"), "");
      expectEqual(await walk(store, 10), ["10", "b", "c", "9", "a"], "The list after a thread was created that was there");
    },
  },
  {
    name: "an append that stores nothing is no activity",
    invariant: "activity",
    async body(store) {
      await store.appendMessages(key("a"), [prompt("p"), answer("whole", "p"), prompt("q"), partial("part", "q")]);
      await touch(store, "b");
      const before = await store.listThreads("", { limit: 10 });
      await new Promise((resolve) => setTimeout(resolve, 5)); // so that `updatedAt` would show it, too
      await store.appendMessages(key("a"), []);
      await store.appendMessages(key("a"), [prompt("p", "another text")]);
      await store.appendMessages(key("a"), [answer("n", "x")], { replacesAnswerTo: "x" });
      await store.appendMessages(key("a"), [answer("n", "p")], { replacesAnswerTo: "p" });
      expectEqual(await store.listThreads("", { limit: 10 }), before, "The list after appends that stored nothing");
      await store.appendMessages(key("a"), [answer("part", "q")], { replacesAnswerTo: "q" });
      expectEqual(await walk(store, 10), ["a", "b"], "The list after an answer in the place of a partial one");
      await store.appendMessages(key("b"), [prompt("m.0"), prompt("new")]);
      expectEqual(await walk(store, 10), ["b", "a"], "The list after an append of which one message was new");
    },
  },
  {
    name: "many activities within a moment keep their order",
    invariant: "activity",
    async body(store) {
      const ids = numbered("thread", 12);
      for (const id of ids) await touch(store, id);
      const again = ids.toSorted((a, b) => (a.at(-1)! + a).localeCompare(b.at(-1)! + b)).slice(0, 9);
      for (const id of again) await store.appendMessages(key(id), prompts("n"));
      expectEqual(await walk(store, 50), [...again.toReversed(), ...ids.toReversed().filter((id) => !again.includes(id))], "The list");
    },
  },
  {
    name: "a clock running backwards or standing still changes no order of threads",
    invariant: "activity",
    async body(store) {
      const ids = ["c", "a", "d", "b", "a", "e", "c"];
      await withClock([9, 9, 5, 7, 7, 1, 0], (index) => store.appendMessages(key(ids[index]!), prompts(`m.${index}`)));
      expectEqual(await walk(store, 10), ["c", "e", "a", "b", "d"], "The list");
      expectEqual(await walk(store, 2), ["c", "e", "a", "b", "d"], "The list in pages of 2");
    },
  },
  {
    name: "pages of any size give every thread once, in order",
    invariant: "pages",
    async body(store) {
      const ids = [...numbered("thread", 11), "__proto__", "10", "9"];
      for (const id of ids) await store.createThread(key(id), "");
      await touch(store, "thread.3");
      const order = [...ids.filter((id) => id !== "thread.3"), "thread.3"].reverse();
      for (const limit of [1, 2, 3, 5, 13, 14, 15, 1_000]) expectEqual(await walk(store, limit), order, `The list in pages of ${limit}`);
      const page = await store.listThreads("", { limit: 4, cursor: undefined });
      expectEqual(
        page.threads.map(({ threadId }) => threadId),
        order.slice(0, 4),
        "The first page of 4",
      );
    },
  },
  {
    name: "the last page has no nextCursor",
    invariant: "lastPage",
    async body(store) {
      const lacksCursor = async (limit: number, cursor?: string) => {
        const page = await store.listThreads("", { limit, cursor });
        expectThat(
          page.nextCursor === undefined,
          `The last page, of ${page.threads.length} threads with limit ${limit}, has the nextCursor ${show(page.nextCursor)}`,
        );
      };
      expectEqual((await store.listThreads("", { limit: 3 })).threads, [], "The list without threads");
      await lacksCursor(3);
      for (const id of ["a", "b", "c", "d"]) await store.createThread(key(id), "");
      for (const limit of [4, 5, 1_000]) await lacksCursor(limit);
      for (const limit of [1, 2, 3]) {
        const pages = Math.ceil(4 / limit);
        let cursor: string | undefined;
        for (let page = 1; page < pages; page++) {
          cursor = (await store.listThreads("", { limit, cursor })).nextCursor;
          expectThat(typeof cursor === "string", `Page ${page} of ${pages}, with limit ${limit}, has the nextCursor ${show(cursor)}`);
        }
        await lacksCursor(limit, cursor);
      }
    },
  },
  {
    name: "a walk meets every untouched thread once, whatever happens to others meanwhile",
    invariant: "pages",
    async body(store) {
      for (const limit of [1, 2, 3]) {
        const owner = `owner.${limit}`;
        const untouched = numbered("still", 8);
        for (const [index, id] of untouched.entries()) {
          await touch(store, `busy.${index}`, owner);
          await touch(store, id, owner);
        }
        const ids = await walk(store, limit, owner, async (page) => {
          await touch(store, `busy.${page % 8}`, owner);
          await store.createThread(key(`new.${page}`, owner), "");
          await store.renameThread(key(`still.${page % 8}`, owner), "New title");
          await store.deleteThread(key(`busy.${(page + 3) % 8}`, owner));
        });
        expectEqual(
          ids.filter((id) => id.startsWith("still")),
          untouched.toReversed(),
          `The untouched threads, met by listThreads in pages of ${limit}`,
        );
      }
    },
  },
  {
    name: "a walk goes on after the thread where it stood was touched or deleted",
    invariant: "pages",
    async body(store) {
      const changes = [(threadId: string) => store.deleteThread(key(threadId)), (threadId: string) => touch(store, threadId)];
      for (const change of changes) {
        for (const id of ["a", "b", "c", "d", "e"]) await store.appendMessages(key(id), prompts(crypto.randomUUID()));
        const first = await store.listThreads("", { limit: 2 });
        await change("d");
        const second = await store.listThreads("", { limit: 10, cursor: first.nextCursor });
        expectEqual(
          second.threads.map(({ threadId }) => threadId),
          ["c", "b", "a"],
          "What listThreads gave after the page of e and d",
        );
      }
    },
  },
  {
    name: "a cursor survives a URL unencoded",
    invariant: "cursor",
    async body(store) {
      for (const owner of ["", "o/wner?&#%", "日本", longId()]) {
        for (const id of [...oddIds.slice(0, 40), ...longIds]) await store.createThread(key(id, owner), id);
        await walk(store, 7, owner, async (_, cursor) => {
          const survives = cursor === undefined || (typeof cursor === "string" && /^[A-Za-z0-9_-]+$/.test(cursor));
          expectThat(survives, `listThreads gave the cursor ${show(cursor)} of the owner ${show(owner)}`);
          expectThat((cursor?.length ?? 0) <= 512, `listThreads gave a cursor of ${cursor?.length} characters: ${show(cursor)}`);
        });
      }
    },
  },
  {
    name: "an owner's list shows no other owner's threads",
    invariant: "isolation",
    async body(store) {
      const owners = ["", "ada", "ada:b", "b"];
      for (const id of ["x", "y", "z"]) for (const owner of owners) await touch(store, `${id} of ${owner}`, owner);
      for (const owner of owners) {
        for (const limit of [1, 2, 10]) {
          expectEqual(
            await walk(store, limit, owner),
            ["z", "y", "x"].map((id) => `${id} of ${owner}`),
            `The list of ${show(owner)} in pages of ${limit}`,
          );
        }
      }
      expectEqual(await store.listThreads("unknown", { limit: 10 }), { threads: [] }, "The list of an unknown owner");
    },
  },
  {
    name: "a cursor is the same whatever other owners do",
    invariant: "ownCursor",
    async body(store, { startAgain }) {
      const alone = await cursorsOf(store, async () => {});
      const another = await startAgain();
      let count = 0;
      const amongOthers = await cursorsOf(another, async () => {
        for (const owner of ["", "another"]) {
          await another.createThread(key(`created.${++count}`, owner), "");
          await touch(another, `appended.${count % 5}`, owner);
        }
        await another.deleteThread(key(`created.${count - 3}`, "another"));
      });
      expectEqual(amongOthers, alone, "The cursors of an owner beside two active owners, which must equal those of the owner alone");
    },
  },
  {
    name: "a foreign cursor rejects or shows the owner's own threads",
    invariant: "foreignCursor",
    async body(store) {
      for (const owner of ["ada", "bob"]) for (const id of numbered(owner, 4)) await touch(store, id, owner);
      const { nextCursor } = await store.listThreads("bob", { limit: 2 });
      const odd = [
        "",
        "0",
        "-1",
        "1",
        "99999",
        "9".repeat(40),
        "A".repeat(300),
        "__proto__",
        "abc",
        "null",
        "%",
        "'--",
        "é",
        "\0",
        "1e3",
        " 1",
        "e30",
        "eyJvIjoiYm9iIn0",
      ];
      for (const cursor of [nextCursor!, ...odd]) {
        const page = await store.listThreads("ada", { limit: 10, cursor }).catch(() => undefined);
        if (!page) continue;
        const foreign = page.threads.filter(({ threadId }) => !threadId.startsWith("ada."));
        expectEqual(foreign, [], `Threads of others, shown for the cursor ${show(cursor)}`);
      }
      expectEqual(await walk(store, 3, "ada"), numbered("ada", 4).reverse(), "The list after foreign cursors");
      expectThat((await store.getThread(here)) === undefined, "A foreign cursor made a thread");
    },
  },
];
