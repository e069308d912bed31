/** Calls that fail or cannot be made, and arguments that must stay as they are. */
import { expectEqual, show } from "../expect.ts";
import type { MessageCase, ThreadCase } from "../case.ts";
import type { MessageChange, StoredMessage } from "../../core/store.ts";
import { answer, here, key, noise, partial, prompt, prompts } from "../samples.ts";
import { atOnce } from "../gate.ts";

const settles = (call: Promise<unknown>): Promise<boolean> =>
  call.then(
    () => true,
    () => false,
  );

/** Ids of a deletion of which the second cannot be read, or the database may refuse it. */
const failingIds: Record<string, () => string[]> = {
  "an id that throws when it is read": () =>
    Object.defineProperty(["a", "", "c"], 1, {
      get: () => {
        throw new Error("This getter throws");
      },
    }),
  "an id with NUL": () => ["a", "\0", "c"],
  "an id with a lone surrogate": () => ["a", "\ud800", "c"],
  "an id of 10,000 characters": () => ["a", noise(10_000), "c"],
};

function frozen<T>(value: T): T {
  if (typeof value === "object" && value !== null) Object.values(Object.freeze(value)).forEach(frozen);
  return value;
}

const broken = (): StoredMessage =>
  Object.assign(prompt("broken"), {
    toJSON: () => {
      throw new Error("This toJSON throws");
    },
  });

export const failureCases: MessageCase[] = [
  {
    name: "a deletion that fails deletes nothing",
    invariant: "deleteMessages",
    async body(store) {
      for (const [what, ids] of Object.entries(failingIds)) {
        const thread = key(what);
        await store.appendMessages(thread, prompts("a", "b", "c"));
        const isDone = await settles(store.deleteMessages(thread, ids()));
        const left = isDone ? prompts("b") : prompts("a", "b", "c");
        expectEqual(await store.listMessages(thread), left, `The thread after a deletion with ${what} ${isDone ? "resolved" : "rejected"}`);
      }
    },
  },
  {
    name: "a store works on after many calls that failed",
    invariant: "allOrNothing",
    async body(store) {
      await store.appendMessages(here, [prompt("a"), partial("b", "a")]);
      const fail = async () => {
        await settles(store.appendMessages(here, [...prompts("x"), broken()]));
        await settles(
          store.appendMessages(here, [partial("y", "a"), Object.assign(broken(), { promptId: "a" })], { replacesAnswerTo: "a" }),
        );
        await settles(store.updateMessage(here, "a", { finishReason: 1n } as unknown as MessageChange));
        await settles(store.deleteMessages(here, ["a", "\0", noise(10_000)].slice(1)));
      };
      for (let round = 0; round < 15; round++) await fail();
      await atOnce(Array.from({ length: 15 }, () => fail));
      expectEqual(await store.listMessages(here), [prompt("a"), partial("b", "a")], "The thread after 120 calls that could not be made");
      // Each in a thread of its own: whether appends to one thread may meet is for another case.
      const threads = Array.from({ length: 15 }, (_, index) => key(`thread.${index}`));
      await atOnce(threads.map((thread) => () => store.appendMessages(thread, prompts("a"))));
      for (const thread of threads)
        expectEqual(await store.listMessages(thread), prompts("a"), `The thread ${show(thread)} after the calls that failed`);
    },
  },
  {
    name: "frozen arguments are taken, and stay as they are",
    invariant: "copiesIn",
    async body(store) {
      const thread = frozen({ ...here });
      await store.appendMessages(thread, frozen([prompt("c"), prompt("a"), partial("b", "a")]), frozen({ title: "A title" }));
      await store.appendMessages(thread, frozen([answer("b", "a")]), frozen({ replacesAnswerTo: "a" }));
      await store.updateMessage(thread, "a", frozen({ message: { role: "user" as const, content: "new text" } }));
      expectEqual(
        await store.listMessages(thread, frozen({ last: 2 })),
        [prompt("a", "new text"), answer("b", "a")],
        "The last 2 messages",
      );
      const ids = ["c", "a", "b", "c"];
      await store.deleteMessages(thread, ids);
      expectEqual(ids, ["c", "a", "b", "c"], "The ids handed to the deletion");
      await store.deleteMessages(thread, frozen(ids));
      expectEqual(await store.listMessages(thread), [], "The thread after the deletion of all");
    },
  },
];

export const threadFailureCases: ThreadCase[] = [
  {
    name: "frozen keys and pages are taken",
    invariant: "copiesIn",
    async body(store) {
      const thread = frozen({ ...here });
      await store.createThread(thread, "A title");
      await store.renameThread(thread, "New title");
      expectEqual((await store.getThread(thread))?.title, "New title", "The title");
      expectEqual((await store.listThreads("", frozen({ limit: 2, cursor: undefined }))).threads.length, 1, "How many threads are listed");
      expectEqual(await store.deleteThread(thread), true, "What deleting the thread resolved to");
    },
  },
];
