/** Deletions of threads and owners that meet other calls, and readers. */
import { expectEqual, expectThat, show } from "../expect.ts";
import type { ThreadCase } from "../case.ts";
import type { ThreadStore } from "../../core/store.ts";
import { atOnce, later, meetings } from "../gate.ts";
import { here, idsOf, key, numbered, prompts } from "../samples.ts";
import { races } from "./races.ts";
import { readDuring } from "./reading.ts";

/** Fails unless the list, the thread and its messages agree. */
async function expectOneStory(store: ThreadStore, owner: string, whole: string[][], what: string): Promise<void> {
  const ids = idsOf(await store.listMessages(key("thread", owner)));
  const isWhole = whole.some((list) => list.join() === ids.join());
  expectThat(isWhole, `${what} left the messages ${show(ids)}, which is none of ${show(whole)}`);
  const isThere = (await store.getThread(key("thread", owner))) !== undefined;
  expectThat(isThere || ids.length === 0, `${what} left the messages ${show(ids)} of a thread that is not there`);
  const { threads } = await store.listThreads(owner, { limit: 10 });
  expectEqual(
    threads.map(({ threadId }) => threadId),
    isThere ? ["thread"] : [],
    `The list after ${what}, the thread being ${isThere ? "" : "not "}there`,
  );
}

export const deletionRaceCases: ThreadCase[] = races<ThreadStore>([
  {
    name: "an owner deleted during appends has whole threads or none",
    invariant: "deleteOwner",
    async race(one, other) {
      await meetings(async (name, first, second) => {
        await one.appendMessages(key("thread", name), prompts("before"));
        await atOnce<unknown>([
          later(first, () => one.deleteOwner(name)),
          later(second, () => other.appendMessages(key("thread", name), prompts("a", "b", "c"))),
          later(second, () => other.appendMessages(key("thread", `${name}, other`), prompts("a", "b"))),
          later(second, () => one.createThread(key("created", `${name}, other`), "A title")),
        ]);
        // An append that came second makes the thread again.
        await expectOneStory(one, name, [[], ["a", "b", "c"]], `deleteOwner at once with appendMessages (${name})`);
        expectEqual(
          idsOf(await other.listMessages(key("thread", `${name}, other`))),
          ["a", "b"],
          `Another owner's thread after deleteOwner at once with its first messages (${name})`,
        );
        expectThat(
          (await other.getThread(key("created", `${name}, other`))) !== undefined,
          `deleteOwner at once with createThread of another owner lost the thread (${name})`,
        );
      });
    },
  },
  {
    name: "a creation and a deletion at once leave nothing of the old thread",
    invariant: "deleteThread",
    async race(one, other) {
      await meetings(async (name, first, second) => {
        const thread = key("thread", name);
        await one.appendMessages(thread, prompts("before"), { title: "Old title" });
        const [created, isDeleted] = await atOnce<unknown>([
          later(first, () => one.createThread(thread, "New title")),
          later(second, () => other.deleteThread(thread)),
        ]);
        expectEqual(isDeleted, true, `What deleteThread resolved to, at once with createThread (${name})`);
        expectThat(Object(created).threadId === "thread", `createThread at once with deleteThread resolved to ${show(created)} (${name})`);
        await expectOneStory(one, name, [[]], `createThread at once with deleteThread (${name})`);
        const left = await one.getThread(thread);
        expectThat(left === undefined || left.title === "New title", `createThread at once with deleteThread left ${show(left)} (${name})`);
        await one.appendMessages(thread, prompts("before"));
        await atOnce<unknown>([later(first, () => one.createThread(thread, "New title")), later(second, () => other.deleteOwner(name))]);
        await expectOneStory(one, name, [[]], `createThread at once with deleteOwner (${name})`);
      });
    },
  },
  {
    name: "a creation that meets a first message makes one thread of both",
    invariant: "createOnce",
    async race(one, other) {
      await meetings(async (name, first, second) => {
        const thread = key("thread", name);
        const [created] = await atOnce<unknown>([
          later(first, () => one.createThread(thread, "Created")),
          later(second, () => other.appendMessages(thread, prompts("a", "b"), { title: "Appended" })),
        ]);
        await expectOneStory(one, name, [["a", "b"]], `createThread at once with appendMessages (${name})`);
        expectEqual(
          (await other.getThread(thread))?.title,
          Object(created).title,
          `The title after createThread at once with an append (${name})`,
        );
      });
    },
  },
  {
    name: "two deletions of a thread at once are one",
    invariant: "deleteThread",
    async race(one, other) {
      await meetings(async (name, first, second) => {
        const thread = key("thread", name);
        await one.appendMessages(thread, prompts("a", "b"));
        const results = await atOnce([later(first, () => one.deleteThread(thread)), later(second, () => other.deleteThread(thread))]);
        expectEqual(results.filter(Boolean), [true], `The calls of deleteThread that found the thread, of two at once (${name})`);
        await expectOneStory(one, name, [[]], `two calls of deleteThread at once (${name})`);
      });
    },
  },
  {
    name: "a reader who finds a thread finds its first messages",
    invariant: "readers",
    async race(one, other) {
      const ids = numbered("m", 20);
      // A thread is looked for before its messages while it is made, and after them while it is deleted: what is found in between is half.
      const reads = [one, other].map((store) => async () => {
        const before = await store.getThread(here);
        const messages = await store.listMessages(here);
        const after = await store.getThread(here);
        return { before, messages, after };
      });
      const made = await readDuring(reads, () => one.appendMessages(here, prompts(...ids)));
      for (const { before, messages } of made) {
        const isWhole = messages.length === ids.length || (messages.length === 0 && !before);
        expectThat(isWhole, `A reader found the thread with ${messages.length} of its first ${ids.length} messages during appendMessages`);
      }
      const deleted = await readDuring(reads, () => one.deleteThread(here));
      for (const { messages, after } of deleted) {
        const isWhole = messages.length === ids.length || (messages.length === 0 && !after);
        expectThat(isWhole, `A reader found the thread with ${messages.length} of its ${ids.length} messages during deleteThread`);
      }
    },
  },
  {
    name: "a reader of the list always finds a thread that is active or renamed",
    invariant: "pages",
    async race(one, other) {
      const ids = ["a", "b", "c"];
      for (const id of ids) await one.createThread(key(id), "");
      const reads = [one, other].map((store) => async () => {
        const { threads } = await store.listThreads("", { limit: 10 });
        return { listed: threads.map(({ threadId }) => threadId).sort(), got: (await store.getThread(key("b")))?.threadId };
      });
      const seen = await readDuring(reads, async () => {
        for (let round = 0; round < 10; round++) {
          await one.appendMessages(key("b"), prompts(`m.${round}`));
          await one.renameThread(key("b"), `Title ${round}`);
        }
      });
      for (const found of seen)
        expectEqual(found, { listed: ids, got: "b" }, "The list and the thread, read during appendMessages and renameThread");
    },
  },
  {
    name: "a list read during deletions holds threads alone",
    invariant: "pages",
    async race(one, other) {
      const ids = numbered("thread", 10);
      for (const id of ids) await one.createThread(key(id), "A title");
      const reads = [one, other].map((store) => () => store.listThreads("", { limit: 20 }));
      const seen = await readDuring(reads, async () => {
        for (const id of ids.slice(2)) await one.deleteThread(key(id));
      });
      for (const { threads } of seen) {
        const isWhole = threads.every((thread) => ids.includes(Object(thread).threadId) && thread.title === "A title");
        expectThat(isWhole && threads.length >= 2, `What listThreads gave during deleteThread is ${show(threads)}`);
      }
    },
  },
]);
