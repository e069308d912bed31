/** Calls about threads that meet other calls. */
import { expectEqual } from "../expect.ts";
import type { ThreadCase } from "../case.ts";
import { atOnce, later, meetings } from "../gate.ts";
import type { ThreadStore } from "../../core/store.ts";
import { answer, idsOf, key, numbered, prompts } from "../samples.ts";
import { races } from "./races.ts";
import { walk } from "./walk.ts";

export const threadRaceCases: ThreadCase[] = races<ThreadStore>([
  {
    name: "two first messages make one thread with one of their titles",
    invariant: "title",
    async race(one, other) {
      await meetings(async (name, first, second) => {
        const thread = key("thread", name);
        await atOnce([
          later(first, () => one.appendMessages(thread, prompts("a"), { title: "One" })),
          later(second, () => other.appendMessages(thread, prompts("b"), { title: "Two" })),
        ]);
        const { threads } = await one.listThreads(name, { limit: 10 });
        const [firstMessage] = await one.listMessages(thread);
        expectEqual(
          threads.map(({ title }) => title),
          [firstMessage?.id === "a" ? "One" : "Two"],
          `The titles in the list (${name})`,
        );
      });
    },
  },
  {
    name: "threads created at once are one",
    invariant: "createOnce",
    async race(one, other) {
      const titles = numbered("Title", 6);
      for (const owner of numbered("owner", 12)) {
        const created = await atOnce(
          titles.map((title, index) => () => (index % 2 ? other : one).createThread(key("thread", owner), title)),
        );
        const { threads } = await one.listThreads(owner, { limit: 10 });
        expectEqual(threads.length, 1, `How many threads there are (${owner})`);
        for (const thread of created) expectEqual(thread, threads[0], `What a creation resolved to, against the list (${owner})`);
      }
    },
  },
  {
    name: "a thread deleted during an append is whole or gone",
    invariant: "deleteThread",
    async race(one, other) {
      const ids = numbered("m", 5);
      await meetings(async (name, first, second) => {
        const thread = key("thread", name);
        await one.appendMessages(thread, prompts("before"));
        await atOnce<unknown>([
          later(first, () => one.appendMessages(thread, prompts(...ids))),
          later(second, () => other.deleteThread(thread)),
        ]);
        const left = idsOf(await one.listMessages(thread));
        expectEqual(left, left.length === 0 ? [] : ids, `The messages after a deletion met an append (${name})`);
        const { threads } = await one.listThreads(name, { limit: 10 });
        expectEqual(threads.length, left.length === 0 ? 0 : 1, `How many threads are listed (${name})`);
        expectEqual((await one.getThread(thread)) !== undefined, left.length > 0, `Whether the thread is there (${name})`);
      });
    },
  },
  {
    name: "an answer does not bring back a thread that was deleted",
    invariant: "replacesAnswerTo",
    async race(one, other) {
      const deletions: ((name: string) => Promise<unknown>)[] = [
        (name) => other.deleteThread(key("thread", name)),
        (name) => other.deleteOwner(name),
      ];
      for (const deletion of deletions) {
        await meetings(async (name, first, second) => {
          const thread = key("thread", name);
          await one.appendMessages(thread, prompts("a"));
          await atOnce<unknown>([
            later(first, () => one.appendMessages(thread, [answer("b", "a")], { replacesAnswerTo: "a" })),
            later(second, () => deletion(name)),
          ]);
          expectEqual(await one.listMessages(thread), [], `The messages after a deletion met its answer (${name})`);
          expectEqual(await one.getThread(thread), undefined, `The thread (${name})`);
        });
      }
    },
  },
  {
    name: "no rename, update or deletion of messages brings back a thread that was deleted",
    invariant: "deleteThread",
    async race(one, other) {
      const deletions: Record<string, (name: string) => Promise<unknown>> = {
        deleteThread: (name) => other.deleteThread(key("thread", name)),
        deleteOwner: (name) => other.deleteOwner(name),
      };
      for (const [deletion, remove] of Object.entries(deletions)) {
        await meetings(async (name, first, second) => {
          const thread = key("thread", name);
          await one.appendMessages(thread, prompts("a", "b"));
          await atOnce<unknown>([
            later(first, () => one.renameThread(thread, "New title")),
            later(first, () => one.updateMessage(thread, "a", { status: "stopped" })),
            later(first, () => one.deleteMessages(thread, ["b"])),
            later(second, () => remove(name)),
          ]);
          const when = `after ${deletion} met other changes (${name})`;
          expectEqual(await one.getThread(thread), undefined, `The thread ${when}`);
          expectEqual(await one.listMessages(thread), [], `Its messages ${when}`);
          expectEqual((await one.listThreads(name, { limit: 10 })).threads, [], `The list ${when}`);
        });
      }
    },
  },
  {
    name: "a rename during an append changes the title alone",
    invariant: "rename",
    async race(one, other) {
      await meetings(async (name, first, second) => {
        const thread = key("thread", name);
        await one.appendMessages(thread, prompts("a"), { title: "Old title" });
        await one.createThread(key("another", name), "");
        await atOnce<unknown>([
          later(first, () => one.renameThread(thread, "New title")),
          later(second, () => other.appendMessages(thread, prompts("b"))),
        ]);
        const { threads } = await one.listThreads(name, { limit: 10 });
        expectEqual(
          threads.map(({ title }) => title),
          ["New title", ""],
          `The titles in the list (${name})`,
        );
        expectEqual(idsOf(await one.listMessages(thread)), ["a", "b"], `The messages (${name})`);
      });
    },
  },
  {
    name: "appends to many threads at once list each of them once",
    invariant: "pages",
    async race(one, other) {
      const ids = numbered("thread", 20);
      await atOnce(ids.flatMap((id) => [one, other].map((store, index) => () => store.appendMessages(key(id), prompts(`m.${index}`)))));
      const { threads } = await one.listThreads("", { limit: 100 });
      expectEqual(threads.map(({ threadId }) => threadId).sort(), ids.toSorted(), "The threads in the list");
    },
  },
  {
    name: "threads active at once are all met by a walk in pages of 1",
    invariant: "pages",
    async race(one, other) {
      const ids = numbered("thread", 12);
      for (const round of ["first", "second"]) {
        await atOnce(ids.map((id, index) => () => (index % 2 ? other : one).appendMessages(key(id), prompts(round))));
        expectEqual((await walk(one, 1)).sort(), ids.toSorted(), `The threads met in pages of 1 after the ${round} appends at once`);
      }
    },
  },
]);
