/** Creating, naming and getting threads. */
import { expectEqual, expectThat, show } from "../expect.ts";
import type { ThreadCase } from "../case.ts";
import { withRightClock } from "../clock.ts";
import type { Thread } from "../../core/store.ts";
import { hardTexts, here, key, noise, oddTexts, partial, prompt, prompts } from "../samples.ts";
import { theThread } from "./the-thread.ts";

/** Fails unless both times are about now. */
function expectIsNow({ createdAt, updatedAt }: Thread, after: string): void {
  const tenMinutes = 600_000; // less than any time zone is away
  const now = Date.now();
  for (const [name, time] of Object.entries({ createdAt, updatedAt })) {
    const isNow = Number.isInteger(time) && Math.abs(time - now) < tenMinutes;
    expectThat(isNow, `After ${after}, ${name} is ${show(time)}, which is not about now (${now}) in epoch milliseconds`);
  }
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
      const poison = {
        ...prompt("b"),
        get createdAt(): number {
          throw new Error("This getter throws");
        },
      };
      const calls: Record<string, () => Promise<unknown>> = {
        listMessages: () => store.listMessages(here),
        "appendMessages with an answer to nothing": () =>
          store.appendMessages(here, [partial("a", "x")], { replacesAnswerTo: "x", title: "A title" }),
        updateMessage: () => store.updateMessage(here, "a", { status: "failed" }),
        deleteMessages: () => store.deleteMessages(here, ["a"]),
        renameThread: () => store.renameThread(here, "A title"),
        "appendMessages, which cannot be made": () =>
          store.appendMessages(here, [prompt("a"), poison], { title: "A title" }).catch(() => {}),
      };
      for (const [name, call] of Object.entries(calls)) {
        await call();
        expectEqual(await theThread(store), undefined, `The thread after ${name}`);
        expectEqual((await store.listThreads("", { limit: 10 })).threads, [], `The list after ${name}`);
      }
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
    body: (store) =>
      withRightClock(async () => {
        const created = await store.createThread(key("created"), "");
        expectIsNow(created, "createThread");
        await store.appendMessages(here, [{ ...prompt("a"), createdAt: 1 }]);
        const first = await theThread(store);
        expectThat(first !== undefined, "There is no thread after its first message");
        expectIsNow(first, "appendMessages");
        const { createdAt, updatedAt } = first;

        await new Promise((resolve) => setTimeout(resolve, 25));
        await store.renameThread(here, "New title");
        await store.updateMessage(here, "a", { status: "stopped" });
        expectEqual(await theThread(store), { ...first, title: "New title" }, "The thread after a rename and an update");
        await store.deleteMessages(here, ["a"]);
        expectEqual(await theThread(store), { ...first, title: "New title" }, "The thread after a deletion of messages");
        await store.appendMessages(here, prompts("b"));
        const grown = await theThread(store);
        expectEqual(grown?.createdAt, createdAt, "createdAt after an append");
        expectThat(
          grown !== undefined && grown.updatedAt > updatedAt,
          `updatedAt was ${updatedAt}, and 25 ms later, after an append, it is ${grown?.updatedAt}`,
        );
        await new Promise((resolve) => setTimeout(resolve, 25));
        await store.appendMessages(here, [partial("c", "b")], { replacesAnswerTo: "b" });
        const answered = await theThread(store);
        expectThat(
          answered !== undefined && answered.updatedAt > grown.updatedAt,
          `updatedAt was ${grown.updatedAt}, and 25 ms later, after an answer, it is ${answered?.updatedAt}`,
        );
      }),
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
    name: "renaming to the same title finds the thread",
    invariant: "rename",
    async body(store) {
      await store.createThread(here, "A title");
      for (const title of ["A title", "Another title", "Another title", "", ""]) {
        expectEqual(await store.renameThread(here, title), true, `What renaming to ${show(title)} resolved to`);
        expectEqual((await theThread(store))?.title, title, "The title after the rename");
      }
    },
  },
  {
    name: "any title is kept exactly, or refused where it holds NUL or lone surrogates",
    invariant: "titles",
    async body(store) {
      const titles = [...oddTexts, noise(1_000), noise(1_000, "日月火水木金土一二三")];
      for (const [index, title] of [...titles, ...hardTexts].entries()) {
        const mayRefuse = index >= titles.length;
        const refused = (error: unknown) => {
          if (!mayRefuse) throw error;
          return undefined;
        };
        const thread = key(`thread.${index}`);
        if (await store.appendMessages(thread, prompts("a"), { title }).catch(refused)) {
          expectEqual((await theThread(store, thread))?.title, title, `The title given by an append`);
        } else expectEqual(await theThread(store, thread), undefined, "The thread whose title was refused");
        const created = await store.createThread(key("created"), title).catch(refused);
        expectEqual((await theThread(store, key("created")))?.title, created && title, "The title given by createThread");
        await store.deleteThread(key("created"));
        await store.createThread(here, "Old title");
        const renamed = await store.renameThread(here, title).catch(refused);
        expectEqual((await theThread(store))?.title, renamed ? title : "Old title", "The title given by a rename");
        await store.deleteThread(here);
      }
    },
  },
  {
    name: "changing a thread that was returned changes nothing stored",
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
];
