/** Two instances on the same data: whatever one did, the other sees at once, also if it has read before. */
import { expectEqual, expectThat } from "../expect.ts";
import type { MessageCase, ThreadCase } from "../case.ts";
import type { MessageStore, StoredMessage, ThreadStore } from "../../core/store.ts";
import { answer, here, idsOf, key, numbered, partial, prompt, prompts } from "../samples.ts";

/** A change that one of two instances makes, and what the thread holds afterwards. */
interface Change<Store extends MessageStore> {
  what: string;
  make(store: Store): Promise<unknown>;
  messages: StoredMessage[];
}

const stopped: StoredMessage = { ...answer("b", "a"), status: "stopped" };

const messageChanges: Change<MessageStore>[] = [
  { what: "an append", make: (store) => store.appendMessages(here, prompts("a")), messages: prompts("a") },
  {
    what: "an answer",
    make: (store) => store.appendMessages(here, [partial("b", "a")], { replacesAnswerTo: "a" }),
    messages: [prompt("a"), partial("b", "a")],
  },
  {
    what: "an answer in the place of a partial one",
    make: (store) => store.appendMessages(here, [answer("b", "a")], { replacesAnswerTo: "a" }),
    messages: [prompt("a"), answer("b", "a")],
  },
  { what: "an update", make: (store) => store.updateMessage(here, "b", { status: "stopped" }), messages: [prompt("a"), stopped] },
  { what: "another append", make: (store) => store.appendMessages(here, prompts("c")), messages: [prompt("a"), stopped, prompt("c")] },
  { what: "a deletion", make: (store) => store.deleteMessages(here, ["a", "b"]), messages: prompts("c") },
  { what: "the deletion of all", make: (store) => store.deleteMessages(here, ["c"]), messages: [] },
];

/** What a change does to the titles of an owner's threads, latest first, and to the messages of the thread. */
const threadChanges: (Change<ThreadStore> & { titles: string[] })[] = [
  { what: "a creation", make: (store) => store.createThread(here, "First"), titles: ["First"], messages: [] },
  { what: "an append", make: (store) => store.appendMessages(here, prompts("a")), titles: ["First"], messages: prompts("a") },
  {
    what: "another thread's first message",
    make: (store) => store.appendMessages(key("another"), prompts("a"), { title: "Another" }),
    titles: ["Another", "First"],
    messages: prompts("a"),
  },
  { what: "a rename", make: (store) => store.renameThread(here, "Second"), titles: ["Another", "Second"], messages: prompts("a") },
  {
    what: "a further append",
    make: (store) => store.appendMessages(here, prompts("b")),
    titles: ["Second", "Another"],
    messages: prompts("a", "b"),
  },
  { what: "a deletion", make: (store) => store.deleteThread(here), titles: ["Another"], messages: [] },
  { what: "a second creation", make: (store) => store.createThread(here, "Third"), titles: ["Third", "Another"], messages: [] },
  { what: "the deletion of the owner", make: (store) => store.deleteOwner(""), titles: [], messages: [] },
  {
    what: "a first message",
    make: (store) => store.appendMessages(here, prompts("c"), { title: "Fourth" }),
    titles: ["Fourth"],
    messages: prompts("c"),
  },
];

async function expectMessages(store: MessageStore, messages: StoredMessage[], when: string): Promise<void> {
  expectEqual(await store.listMessages(here), messages, `The thread, read by the other instance after ${when} at the first`);
  expectEqual(await store.listMessages(here, { last: 2 }), messages.slice(-2), `Its last 2, read by the other instance after ${when}`);
}

export const instanceCases: MessageCase[] = [
  {
    name: "an instance that has read a thread sees each change of the other",
    invariant: "durable",
    needs: "peer",
    async body(store, { peer }) {
      const other = await peer();
      for (const [writer, reader] of [
        [store, other],
        [other, store],
      ] as const) {
        await expectMessages(reader, [], "nothing");
        for (const { what, make, messages } of messageChanges) {
          await make(writer);
          await expectMessages(reader, messages, what);
        }
      }
    },
  },
  {
    name: "an instance knows what the other deleted",
    invariant: "durable",
    needs: "peer",
    async body(store, { peer }) {
      const other = await peer();
      await store.appendMessages(here, [prompt("a"), answer("b", "a")]);
      await store.updateMessage(here, "b", { status: "failed" });
      await other.updateMessage(here, "b", { finishReason: "length" });
      await store.updateMessage(here, "b", { createdAt: 1 });
      expectEqual(
        await other.listMessages(here),
        [prompt("a"), { ...answer("b", "a"), status: "failed", finishReason: "length", createdAt: 1 }],
        "The thread after updates of the same message by both instances in turn",
      );
      await other.deleteMessages(here, ["a", "b"]);
      expectEqual(
        await store.appendMessages(here, prompts("b", "a")),
        ["b", "a"],
        "The ids of an append of what the other instance deleted",
      );
      expectEqual(await other.listMessages(here), prompts("b", "a"), "The thread after that append");
    },
  },
];

export const threadInstanceCases: ThreadCase[] = [
  {
    name: "an instance that has read a thread and the list sees each change of the other",
    invariant: "durable",
    needs: "peer",
    async body(store, { peer }) {
      const other = await peer();
      for (const [writer, reader] of [
        [store, other],
        [other, store],
      ] as const) {
        await writer.deleteOwner("");
        for (const { what, make, titles, messages } of threadChanges) {
          await make(writer);
          await expectMessages(reader, messages, what);
          const { threads } = await reader.listThreads("", { limit: 10 });
          expectEqual(
            threads.map(({ title }) => title),
            titles,
            `The titles, listed by the other instance after ${what} at the first`,
          );
          const listed = threads.find(({ threadId }) => threadId === here.threadId);
          expectEqual(await reader.getThread(here), listed, `The thread, got by the other instance after ${what} at the first`);
        }
      }
    },
  },
  {
    name: "an instance knows which threads the other deleted",
    invariant: "durable",
    needs: "peer",
    async body(store, { peer }) {
      const other = await peer();
      for (const deletion of [() => other.deleteThread(here), () => other.deleteOwner("")]) {
        await store.appendMessages(here, [prompt("a"), partial("b", "a")]);
        await deletion();
        expectEqual(await store.updateMessage(here, "a", { status: "failed" }), false, "What an update in the deleted thread resolved to");
        expectEqual(
          await store.appendMessages(here, [answer("b", "a")], { replacesAnswerTo: "a" }),
          [],
          "The ids of an answer in the deleted thread",
        );
        expectEqual(await store.appendMessages(here, prompts("a", "c")), ["a", "c"], "The ids of an append to the deleted thread");
        expectEqual(idsOf(await other.listMessages(here)), ["a", "c"], "The thread, read by the instance that had deleted it");
        expectThat((await other.getThread(here)) !== undefined, "The instance that had deleted the thread does not find it");
      }
    },
  },
  {
    name: "a walk may go on at another instance, in pages of another size",
    invariant: "pages",
    needs: "peer",
    async body(store, { peer }) {
      const instances = [store, await peer()];
      const ids = numbered("thread", 30);
      for (const id of ids) await store.createThread(key(id), "");
      const met: string[] = [];
      let cursor: string | undefined;
      for (const [index, limit] of [3, 5, 1, 4, 10, 6, 1].entries()) {
        const page = await instances[index % 2]!.listThreads("", { limit, cursor });
        met.push(...page.threads.map(({ threadId }) => threadId));
        cursor = page.nextCursor;
      }
      expectEqual(met, ids.toReversed(), "The threads met by both instances in turn");
      expectEqual(cursor, undefined, "The cursor after the last page");
    },
  },
];
