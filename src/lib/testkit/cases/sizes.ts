/** Sizes that every store must hold, where pages, limits and windows hide. */
import type { MessageStore, StoredMessage } from "../../core/store.ts";
import type { MessageCase } from "../case.ts";
import { expectEqual, expectThat } from "../expect.ts";
import { answer, here, idsOf, noise, numbered, partial, prompt, prompts } from "../samples.ts";

/** A thread of 1,200 messages, written in two batches. */
async function appendMany(store: MessageStore): Promise<StoredMessage[]> {
  const stored = prompts(...numbered("m", 1_200));
  for (const batch of [stored.slice(0, 600), stored.slice(600)]) await store.appendMessages(here, batch);
  return stored;
}

export const sizeCases: MessageCase[] = [
  {
    name: "1,000 messages in one batch are stored as they came",
    invariant: "appended",
    async body(store) {
      await store.appendMessages(here, prompts("m.7", "m.900"));
      const ids = numbered("m", 1_000);
      const stored = await store.appendMessages(here, prompts(...ids));
      expectEqual(stored.length, 998, "How many ids a batch of 1,000 gave, two of which were there already");
      const fresh = ids.filter((id) => id !== "m.7" && id !== "m.900");
      expectEqual([...stored].sort(), fresh.toSorted(), "The ids of a batch of 1,000");
      expectEqual(idsOf(await store.listMessages(here)), ["m.7", "m.900", ...fresh], "The thread after a batch of 1,000");
    },
  },
  {
    name: "an id is known however long ago it was stored",
    invariant: "idOnce",
    async body(store) {
      const stored = await appendMany(store);
      expectEqual(await store.appendMessages(here, [prompt("m.0", "another text")]), [], "The ids of an append of the oldest of 1,200 ids");
      expectEqual(await store.listMessages(here), stored, "The thread");
    },
  },
  {
    name: "the last 1,100 of 1,200 messages are given",
    invariant: "last",
    async body(store) {
      const stored = await appendMany(store);
      for (const last of [999, 1_001, 1_100])
        expectEqual(idsOf(await store.listMessages(here, { last })), idsOf(stored.slice(-last)), `The last ${last} of 1,200`);
    },
  },
  {
    name: "a thread of 18 MB is read whole",
    invariant: "last",
    async body(store) {
      const text = noise(999_000);
      const stored = Array.from({ length: 18 }, (_, index) => prompt(`m.${index}`, `${index} ${text}`));
      for (const message of stored) await store.appendMessages(here, [message]);
      for (const last of [17, undefined]) {
        const found = await store.listMessages(here, { last });
        expectEqual(idsOf(found), idsOf(stored.slice(-(last ?? 18))), `The ids of messages of 1 MB, with last: ${last}`);
        const isWhole = found.every((message) => message.message.content === stored.find(({ id }) => id === message.id)?.message.content);
        expectThat(isWhole, `A message of 1 MB came back changed, with last: ${last}`);
      }
    },
  },
  {
    name: "the oldest of 1,200 messages is updated",
    invariant: "updateInPlace",
    async body(store) {
      const stored = await appendMany(store);
      expectEqual(await store.updateMessage(here, "m.0", { status: "stopped" }), true, "What the update of the oldest message resolved to");
      expectEqual(await store.listMessages(here), stored.with(0, { ...prompt("m.0"), status: "stopped" }), "The thread");
    },
  },
  {
    name: "a prompt far back in the thread is answered",
    invariant: "replacesAnswerTo",
    async body(store) {
      await store.appendMessages(here, [
        prompt("whole"),
        answer("b", "whole"),
        prompt("broken"),
        partial("c", "broken"),
        partial("d", "broken"),
      ]);
      const stored = await appendMany(store);
      const ids = await store.appendMessages(here, [answer("x", "whole")], { replacesAnswerTo: "whole" });
      expectEqual(ids, [], "The ids of an answer to a prompt that was answered 1,200 messages before");
      expectEqual(
        await store.appendMessages(here, [answer("d", "broken")], { replacesAnswerTo: "broken" }),
        ["d"],
        "The ids of an answer to a prompt 1,200 messages before",
      );
      expectEqual(
        idsOf(await store.listMessages(here)),
        ["whole", "b", "broken", ...idsOf(stored), "d"],
        "The thread after an answer to a prompt 1,200 messages before",
      );
    },
  },
];
