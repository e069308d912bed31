/** Ids that begin alike, are empty, or cannot be held: no call may take one for another. */
import { expectEqual, expectThat, show } from "../expect.ts";
import type { MessageCase, ThreadCase } from "../case.ts";
import type { MessageStore, ThreadKey } from "../../core/store.ts";
import { answer, hardIds, here, idsOf, key, longId, longIds, partial, prompt, prompts } from "../samples.ts";
import { walk } from "./walk.ts";

/** Stores one message in each thread, then deletes it in every second one, looking at all of them each time. */
async function keepsApart(store: MessageStore, threads: readonly ThreadKey[]): Promise<void> {
  for (const [index, thread] of threads.entries()) {
    const ids = await store.appendMessages(thread, [prompt("a", `thread ${index}`)]);
    expectEqual(ids, ["a"], `The ids of the first append to thread ${index} of ${threads.length}`);
  }
  for (const [index, thread] of threads.entries())
    expectEqual(await store.listMessages(thread), [prompt("a", `thread ${index}`)], `Thread ${index} of ${threads.length}`);
  for (const [index, thread] of threads.entries()) if (index % 2 === 0) await store.deleteMessages(thread, ["a"]);
  for (const [index, thread] of threads.entries()) {
    const what = index % 2 === 0 ? "its message was" : "messages of others were";
    expectEqual(
      idsOf(await store.listMessages(thread)),
      index % 2 === 0 ? [] : ["a"],
      `Thread ${index} of ${threads.length} after ${what} deleted`,
    );
  }
}

/** What drivers make of an id that they cannot hold, and what else looks like one of them. */
const replacements = ["\ufffd", "\ufffd\ufffd", "a\ufffd", "\ufffda", "a", "?", "a?"];

/** Makes calls with a key or an id that may be refused, and checks after each that nothing has changed. */
async function changeNothing(calls: Record<string, () => Promise<unknown>>, expectSame: (call: string) => Promise<void>): Promise<void> {
  for (const [name, call] of Object.entries(calls)) {
    await call().catch(() => {});
    await expectSame(name);
  }
}

const similar = ["a", "ab", "a b", "a.b", "a/b", "a:b", "a#b", "a%", "a_", "%", "_", "A", "a ", "", "b"];

export const similarIdCases: MessageCase[] = [
  {
    name: "keys that share a long beginning are kept apart",
    invariant: "keys",
    async body(store) {
      await keepsApart(
        store,
        longIds.map((id) => key(id)),
      );
      await keepsApart(
        store,
        longIds.map((id) => key("thread", id)),
      );
      await keepsApart(
        store,
        longIds.flatMap((id) => (id === longId() ? [key(id, id)] : [key(id, longId()), key(longId(), id)])),
      );
    },
  },
  {
    name: "message ids that share a long beginning are different messages",
    invariant: "messageIds",
    async body(store) {
      const thread = key(longId(), longId());
      for (const [index, id] of longIds.entries())
        expectEqual(await store.appendMessages(thread, prompts(id)), [id], `The ids of the append of long id ${index}`);
      for (const [index, id] of longIds.entries())
        expectEqual(
          await store.updateMessage(thread, id, { finishReason: `${index}` }),
          true,
          `What the update of long id ${index} resolved to`,
        );
      const updated = longIds.map((id, index) => ({ ...prompt(id), finishReason: `${index}` }));
      expectEqual(await store.listMessages(thread), updated, "The thread after updates");
      await store.deleteMessages(thread, [longIds[3]!, longIds[5]!]);
      expectEqual(
        await store.listMessages(thread),
        updated.toSpliced(5, 1).toSpliced(3, 1),
        "The thread after a deletion of long ids 3 and 5",
      );
    },
  },
  {
    name: "prompt ids that share a long beginning are different prompts",
    invariant: "messageIds",
    async body(store) {
      await store.appendMessages(here, [...prompts(...longIds), ...longIds.map((id, index) => partial(`b.${index}`, id))]);
      const others = longIds.map((_, index) => `b.${index}`).toSpliced(4, 1);
      const replacesAnswerTo = longIds[4]!;
      const ids = await store.appendMessages(here, [answer("whole", replacesAnswerTo)], { replacesAnswerTo });
      expectEqual(ids, ["whole"], "The ids of an answer to long id 4");
      expectEqual(idsOf(await store.listMessages(here)), [...longIds, ...others, "whole"], "The thread after an answer to long id 4");
      const unknown = await store.appendMessages(here, [partial("x", longId(300))], { replacesAnswerTo: longId(300) });
      expectEqual(unknown, [], "The ids of an answer to a long id that is not there");
    },
  },
  {
    name: "an answer leaves those to prompts with similar ids alone",
    invariant: "messageIds",
    async body(store) {
      const ids = similar.filter((id) => id !== "");
      for (const replacesAnswerTo of ids) {
        const thread = key(replacesAnswerTo, "owner");
        const parts = ids.map((id, index) => partial(`part ${index}`, id));
        await store.appendMessages(thread, [...prompts(...ids), ...parts]);
        await store.appendMessages(thread, [answer("whole", replacesAnswerTo)], { replacesAnswerTo });
        const left = parts.filter(({ promptId }) => promptId !== replacesAnswerTo);
        expectEqual(
          idsOf(await store.listMessages(thread)),
          [...ids, ...idsOf(left), "whole"],
          `The thread after an answer to ${show(replacesAnswerTo)}`,
        );
      }
    },
  },
  {
    name: "thread and message ids that give the same text when joined are kept apart",
    invariant: "messageIds",
    async body(store) {
      for (const separator of [":", "/", "#", "|", "-", "_", ".", "\u001f", "~"]) {
        const first = key("a", separator);
        const second = key(`a${separator}b`, separator);
        const id = `b${separator}c`;
        expectEqual(await store.appendMessages(first, [prompt(id, "first")]), [id], `The ids of an append with ${show(separator)}`);
        expectEqual(await store.appendMessages(second, [prompt("c", "second")]), ["c"], `The ids of an append with ${show(separator)}`);
        await store.updateMessage(first, id, { status: "stopped" });
        expectEqual(await store.listMessages(second), [prompt("c", "second")], `The second thread with ${show(separator)}`);
        await store.deleteMessages(second, ["c"]);
        expectEqual(await store.listMessages(first), [{ ...prompt(id, "first"), status: "stopped" }], `The first with ${show(separator)}`);
      }
    },
  },
  {
    name: "threads whose ids begin alike are kept apart",
    invariant: "keys",
    async body(store) {
      const ids = ["a", "aa", "a\u0001", "a!", "a~", "a\uffff", "a😀", "a0", "a:", "a:0", "a/", "a-1"];
      await keepsApart(
        store,
        ids.map((id) => key(id)),
      );
      await keepsApart(
        store,
        ids.map((id) => key("thread", id)),
      );
    },
  },
  {
    name: "empty ids stand for themselves",
    invariant: "keys",
    async body(store) {
      const threads = [key("t", "ada"), key("u", "ada"), key("t", "bob")];
      for (const thread of threads) await store.appendMessages(thread, prompts("a", "b"));
      const empty = [key("t"), key("", "ada"), key("")];
      for (const thread of empty) {
        expectEqual(await store.listMessages(thread).catch(() => []), [], `The unknown thread ${show(thread)}`);
        expectEqual(
          await store.updateMessage(thread, "a", { status: "failed" }).catch(() => false),
          false,
          `What an update in ${show(thread)} resolved to`,
        );
        await store.deleteMessages(thread, ["a"]).catch(() => {});
        await store.deleteMessages(thread, []).catch(() => {});
      }
      expectEqual(
        await store.updateMessage(threads[0]!, "", { status: "failed" }).catch(() => false),
        false,
        'What an update of the id "" resolved to',
      );
      await store.deleteMessages(threads[0]!, [""]).catch(() => {});
      await store.deleteMessages(threads[0]!, []);
      for (const thread of threads) expectEqual(await store.listMessages(thread), prompts("a", "b"), `The thread ${show(thread)}`);
    },
  },
  {
    name: "an answer to the empty prompt id is no plain append",
    invariant: "replacesAnswerTo",
    async body(store) {
      await store.appendMessages(here, prompts("a"));
      const ids = await store.appendMessages(here, [partial("b", "")], { replacesAnswerTo: "" }).catch(() => []);
      expectEqual(ids, [], 'The ids of an answer to the prompt "", which is not there');
      expectEqual(await store.listMessages(here), prompts("a"), 'The thread after an answer to the prompt ""');
      const isHeld = (await store.appendMessages(here, prompts("")).catch(() => [])).length > 0;
      const stored = await store.appendMessages(here, [answer("b", "")], { replacesAnswerTo: "" }).catch(() => []);
      expectEqual(stored, isHeld ? ["b"] : [], `The ids of an answer to the prompt "", which is ${isHeld ? "" : "not "}there`);
    },
  },
  {
    name: "calls with a key that cannot be held touch no other thread",
    invariant: "keys",
    async body(store) {
      const threads = replacements.flatMap((id) => [key(id), key("thread", id)]);
      for (const thread of threads) await store.appendMessages(thread, prompts("a"));
      for (const id of hardIds.filter((id) => id !== "")) {
        for (const thread of [key(id), key("thread", id)]) {
          expectEqual(await store.listMessages(thread).catch(() => []), [], `The unknown thread ${show(thread)}`);
          const calls = {
            updateMessage: () => store.updateMessage(thread, "a", { status: "failed" }),
            deleteMessages: () => store.deleteMessages(thread, ["a"]),
          };
          await changeNothing(calls, async (call) => {
            for (const other of threads)
              expectEqual(await store.listMessages(other), prompts("a"), `The thread ${show(other)} after ${call} with ${show(thread)}`);
          });
        }
      }
    },
  },
  {
    name: "calls with a message id that cannot be held touch no other message",
    invariant: "messageIds",
    async body(store) {
      const stored = replacements.flatMap((id) => [prompt(id), partial(`part of ${id}`, id)]);
      await store.appendMessages(here, stored);
      for (const id of hardIds.filter((id) => id !== "")) {
        const calls = {
          updateMessage: () => store.updateMessage(here, id, { status: "failed" }),
          deleteMessages: () => store.deleteMessages(here, [id]),
          "appendMessages with replacesAnswerTo": () => store.appendMessages(here, [partial("x", id)], { replacesAnswerTo: id }),
        };
        await changeNothing(calls, async (call) =>
          expectEqual(await store.listMessages(here), stored, `The thread after ${call} with the id ${show(id)}`),
        );
      }
    },
  },
];

export const similarThreadCases: ThreadCase[] = [
  {
    name: "calls with a key that cannot be held touch no other thread, nor its title",
    invariant: "keys",
    async body(store) {
      const threads = replacements.flatMap((id) => [key(id), key("thread", id)]);
      for (const thread of threads) await store.createThread(thread, "A title");
      for (const id of hardIds.filter((id) => id !== "")) {
        const { threads: listed } = await store.listThreads(id, { limit: 10 }).catch(() => ({ threads: [] }));
        expectEqual(listed, [], `The threads of the unknown owner ${show(id)}`);
        for (const thread of [key(id), key("thread", id)]) {
          expectEqual(await store.getThread(thread).catch(() => undefined), undefined, `The unknown thread ${show(thread)}`);
          const calls = {
            renameThread: () => store.renameThread(thread, "New title"),
            deleteThread: () => store.deleteThread(thread),
            deleteOwner: () => store.deleteOwner(thread.owner || id),
          };
          await changeNothing(calls, async (call) => {
            for (const other of threads)
              expectEqual(
                (await store.getThread(other))?.title,
                "A title",
                `The title of ${show(other)} after ${call} with ${show(thread)}`,
              );
          });
        }
      }
    },
  },
  {
    name: "the empty owner is an owner like others",
    invariant: "deleteOwner",
    async body(store) {
      for (const owner of ["ada", "bob"]) await store.createThread(key("t", owner), "A title");
      expectEqual(await walk(store, 10, ""), [], "The list of the empty owner, who has no threads");
      expectEqual(await store.getThread(key("t")), undefined, "A thread of the empty owner, who has none");
      expectEqual(await store.renameThread(key("t"), "New title"), false, "What a rename for the empty owner resolved to");
      expectEqual(await store.deleteThread(key("t")), false, "What a deletion for the empty owner resolved to");
      await store.deleteOwner("");
      for (const owner of ["ada", "bob"])
        expectEqual((await store.getThread(key("t", owner)))?.title, "A title", `The title of ${owner}'s thread after deleteOwner("")`);
      for (const id of ["t", "u"]) await store.appendMessages(key(id), prompts("a"));
      expectEqual(await walk(store, 1, ""), ["u", "t"], "The list of the empty owner");
      await store.deleteOwner("");
      expectThat((await walk(store, 10, "")).length === 0, 'deleteOwner("") left threads of the empty owner');
      for (const owner of ["ada", "bob"]) expectEqual(await walk(store, 10, owner), ["t"], `The list of ${owner} after deleteOwner("")`);
    },
  },
];
