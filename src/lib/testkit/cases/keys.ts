/** Odd ids: owners, threads and messages that look alike, or that mean something to some database. */
import { expectEqual, expectThat, show } from "../expect.ts";
import type { MessageCase } from "../case.ts";
import type { MessageStore, ThreadKey } from "../../core/store.ts";
import { hardIds, here, idsOf, key, oddIds, partial, prompt, prompts } from "../samples.ts";

/** Keys whose parts give the same text when joined by some separator. */
const joined: ThreadKey[] = [":", "/", "|", ",", "-", "_", ".", "#", " ", "::", '","', "\\", "%", "\u001f"].flatMap((separator) => [
  key(`b${separator}c`, "a"),
  key("c", `a${separator}b`),
  key(`a${separator}b${separator}c`),
]);

/** Stores a message in every thread, and checks that each thread has its own; then deletes in every second one. */
async function keepsApart(store: MessageStore, keys: readonly ThreadKey[], mayRefuse: boolean): Promise<void> {
  const held: ThreadKey[] = [];
  for (const thread of keys) {
    const own = prompt("a", JSON.stringify(thread));
    const ids = await store.appendMessages(thread, [own]).catch((error: unknown) => {
      if (!mayRefuse) throw error;
    });
    if (!ids) continue;
    expectEqual(ids, ["a"], `The ids of the first append to ${show(thread)}`);
    held.push(thread);
  }
  for (const thread of held) {
    expectEqual(await store.listMessages(thread), [prompt("a", JSON.stringify(thread))], `The thread ${show(thread)}`);
  }
  const isDeleted = (index: number) => index % 2 === 0;
  for (const [index, thread] of held.entries()) if (isDeleted(index)) await store.deleteMessages(thread, ["a"]);
  for (const [index, thread] of held.entries()) {
    const left = isDeleted(index) ? [] : ["a"];
    expectEqual(
      idsOf(await store.listMessages(thread)),
      left,
      `The thread ${show(thread)} after deletions in ${isDeleted(index) ? "it" : "others"}`,
    );
  }
}

export const keyCases: MessageCase[] = [
  {
    name: "odd thread ids are kept apart",
    invariant: "keys",
    body: (store) =>
      keepsApart(
        store,
        oddIds.map((id) => key(id)),
        false,
      ),
  },
  {
    name: "odd owners are kept apart",
    invariant: "keys",
    body: (store) =>
      keepsApart(
        store,
        ["", ...oddIds].map((owner) => key("thread", owner)),
        false,
      ),
  },
  {
    name: "owners and thread ids that give the same text when joined are kept apart",
    invariant: "keys",
    body: (store) => keepsApart(store, joined, false),
  },
  {
    name: "ids that a database may be unable to hold are kept apart or refused",
    invariant: "keys",
    body: (store) =>
      keepsApart(
        store,
        ["\ufffd", "\ufffd\ufffd", "a", "a\ufffd", ...hardIds].flatMap((id) => [key(id), key("thread", id)]),
        true,
      ),
  },
  {
    name: "odd message ids are different messages",
    invariant: "messageIds",
    async body(store) {
      for (const id of oddIds) expectEqual(await store.appendMessages(here, prompts(id)), [id], `The ids of the append of ${show(id)}`);
      await store.appendMessages(key("a batch"), prompts(...oddIds));
      for (const thread of [here, key("a batch")])
        expectEqual(await store.listMessages(thread), prompts(...oddIds), `The thread ${show(thread)}`);

      for (const id of oddIds) {
        expectEqual(await store.updateMessage(here, id, { finishReason: `of ${id}` }), true, `What the update of ${show(id)} resolved to`);
        expectEqual(
          await store.appendMessages(here, [partial("x", `${id}?`)], { replacesAnswerTo: `${id}?` }),
          [],
          `The ids of an answer to the unknown ${show(`${id}?`)}`,
        );
      }
      const updated = oddIds.map((id) => ({ ...prompt(id), finishReason: `of ${id}` }));
      expectEqual(await store.listMessages(here), updated, "The thread after updates");
      const isDeleted = (_: unknown, index: number) => index % 2 === 0;
      await store.deleteMessages(here, oddIds.filter(isDeleted));
      const left = updated.filter((_, index) => !isDeleted(_, index));
      expectEqual(await store.listMessages(here), left, "The thread after deletions");
    },
  },
  {
    name: "message ids that a database may be unable to hold are different messages or refused",
    invariant: "messageIds",
    async body(store) {
      const held = ["\ufffd", "\ufffd\ufffd", "a", "a\ufffd"];
      await store.appendMessages(here, prompts(...held));
      for (const id of hardIds) {
        const ids = await store.appendMessages(here, prompts(id)).catch(() => undefined);
        if (!ids) continue;
        expectEqual(ids, [id], `The ids of the append of ${show(id)}`);
        held.push(id);
      }
      expectEqual(idsOf(await store.listMessages(here)), held, "The thread");
      for (const id of hardIds) {
        const updated = await store.updateMessage(here, id, { status: "stopped" }).catch(() => false);
        expectThat(
          updated === held.includes(id),
          `The update of ${show(id)} gave ${updated}, though it is ${held.includes(id) ? "" : "not "}there`,
        );
      }
    },
  },
];
