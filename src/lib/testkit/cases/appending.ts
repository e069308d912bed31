/** Appending: ids, batches, arguments. */
import { expectEqual, expectThat, show } from "../expect.ts";
import type { MessageCase } from "../case.ts";
import type { MessageStore, StoredMessage } from "../../core/store.ts";
import { answer, here, idsOf, key, noise, numbered, partial, prompt, prompts } from "../samples.ts";

const appending: MessageCase[] = [
  {
    name: "an append resolves to the ids it stored",
    invariant: "appended",
    async body(store) {
      expectEqual(await store.appendMessages(here, prompts("a")), ["a"], "The ids of the first append");
      expectEqual([...(await store.appendMessages(here, prompts("c", "b")))].sort(), ["b", "c"], "The ids of the second append");
      expectEqual(idsOf(await store.listMessages(here)), ["a", "c", "b"], "The thread");
    },
  },
  {
    name: "an id that is there already is left as it is",
    invariant: "idOnce",
    async body(store) {
      await store.appendMessages(here, prompts("a", "b"));
      expectEqual(await store.appendMessages(here, [prompt("a", "another text")]), [], "The ids of an append of a known id");
      const ids = await store.appendMessages(here, [prompt("c"), prompt("b", "another text"), prompt("d")]);
      expectEqual([...ids].sort(), ["c", "d"], "The ids of an append with one known id");
      expectEqual(await store.listMessages(here), prompts("a", "b", "c", "d"), "The thread");
    },
  },
  {
    name: "an id repeated in a batch is stored once, as it came first",
    invariant: "idOnce",
    async body(store) {
      const ids = await store.appendMessages(here, [prompt("a"), prompt("b"), prompt("a", "another text"), prompt("c")]);
      expectEqual([...ids].sort(), ["a", "b", "c"], "The ids of the append");
      expectEqual(await store.listMessages(here), prompts("a", "b", "c"), "The thread");
    },
  },
  {
    name: "messages that differ in nothing but their ids are all kept",
    invariant: "appended",
    async body(store) {
      const same = (id: string): StoredMessage => ({ ...answer(id, "a"), message: { role: "assistant", content: "the same" } });
      const stored = [prompt("a", "the same"), ...["b", "c", "d"].map(same), prompt("e", "the same")];
      await store.appendMessages(here, stored.slice(0, 3));
      for (const message of stored.slice(3)) await store.appendMessages(here, [message]);
      expectEqual(await store.listMessages(here), stored, "The thread of messages with the same text");
    },
  },
  {
    name: "the same id in another thread is another message",
    invariant: "isolation",
    async body(store) {
      const others = [key("another"), key(here.threadId, "someone")];
      await store.appendMessages(here, prompts("a"));
      for (const other of others) {
        expectEqual(await store.appendMessages(other, [prompt("a", "another text")]), ["a"], `The ids of an append to ${show(other)}`);
        expectEqual(await store.listMessages(other), [prompt("a", "another text")], `The thread ${show(other)}`);
      }
      expectEqual(await store.listMessages(here), prompts("a"), "The first thread");
    },
  },
  {
    name: "an empty batch stores and removes nothing",
    invariant: "emptyBatch",
    async body(store) {
      expectEqual(await store.appendMessages(here, []), [], "The ids of an empty batch");
      expectEqual(await store.listMessages(here), [], "The thread");
      await store.appendMessages(here, prompts("a"));
      await store.appendMessages(here, [partial("b", "a")]);
      expectEqual(await store.appendMessages(here, [], { replacesAnswerTo: "a", title: "A title" }), [], "The ids of an empty batch");
      expectEqual(await store.listMessages(here), [prompt("a"), partial("b", "a")], "The thread");
    },
  },
  {
    name: "changing the arguments of a call changes nothing stored",
    invariant: "copiesIn",
    async body(store) {
      const thread = { ...here };
      const batch = [prompt("a"), answer("b", "a")];
      const options = { title: "A title", replacesAnswerTo: undefined };
      await store.appendMessages(thread, batch, options);
      expectEqual(
        [thread, batch, options],
        [here, [prompt("a"), answer("b", "a")], { title: "A title" }],
        "The arguments after the append",
      );
      batch[0]!.message.content = "changed";
      batch[1]!.usage!.total_tokens = 0;
      batch.length = 1;
      thread.threadId = "another";
      expectEqual(await store.listMessages(here), [prompt("a"), answer("b", "a")], "The thread after changes to the arguments");

      const change = { message: { role: "user" as const, content: "new text" } };
      await store.updateMessage(here, "a", change);
      change.message.content = "changed";
      expectEqual(await store.listMessages(here), [prompt("a", "new text"), answer("b", "a")], "The thread after changes to an update");
    },
  },
];

/** Last messages of a batch that a store may be unable to keep: then nothing of the batch may stay. */
const poisons: Record<string, () => StoredMessage> = {
  "a getter that throws": () => ({
    ...prompt("poison"),
    get createdAt(): number {
      throw new Error("This getter throws");
    },
  }),
  "a toJSON that throws": () =>
    Object.assign(prompt("poison"), {
      toJSON: () => {
        throw new Error("This toJSON throws");
      },
    }),
  "a BigInt": () => Object.assign(prompt("poison"), { field: 1n }),
  "a circle": () => {
    const circle = prompt("poison");
    return Object.assign(circle, { field: { circle } });
  },
  "a NUL": () => prompt("poison", "a\0b"),
  "a lone surrogate": () => prompt("poison", "a\ud800b"),
  "an id with a NUL": () => prompt("poi\0son"),
  "an id of 10,000 characters": () => prompt(noise(10_000)),
};

const allOrNothing = Object.entries(poisons).map(([what, poison]): MessageCase => ({
  name: `a batch that ends in ${what} is stored whole or not at all`,
  invariant: "allOrNothing",
  async body(store) {
    await appendPoisoned(store, [], poison());
    await store.appendMessages(here, prompts("before"));
    await appendPoisoned(store, idsOf(await store.listMessages(here)), poison());
    const before = idsOf(await store.listMessages(here));
    await store.appendMessages(here, prompts("after", "that"));
    expectEqual(idsOf(await store.listMessages(here)), [...before, "after", "that"], "The thread after a further append");
  },
}));

const poisonedAnswer: MessageCase = {
  name: "what an answer would replace stays where the answer cannot be stored",
  invariant: "allOrNothing",
  async body(store) {
    for (const [what, poison] of Object.entries(poisons)) {
      const thread = key(what);
      const before = [prompt("a"), partial("b", "a")];
      await store.appendMessages(thread, before);
      const batch = [partial("c", "a"), Object.defineProperty(poison(), "promptId", { value: "a" })];
      const stored = await store.appendMessages(thread, batch, { replacesAnswerTo: "a" }).then(
        () => true,
        () => false,
      );
      const after = await store.listMessages(thread);
      if (!stored) expectEqual(after, before, `The thread after an answer that ends in ${what} rejected`);
      else expectEqual(idsOf(after).slice(0, 2), ["a", "c"], `The thread after an answer that ends in ${what}`);
    }
  },
};

async function appendPoisoned(store: MessageStore, before: string[], poison: StoredMessage): Promise<void> {
  const good = numbered(`good.${before.length}`, 3);
  const stored = await store.appendMessages(here, [...prompts(...good), poison]).then(
    () => true,
    () => false,
  );
  const after = idsOf(await store.listMessages(here));
  if (!stored) return expectEqual(after, before, "The thread after the append rejected");
  expectEqual(after.slice(0, before.length + 3), [...before, ...good], "The thread after the append resolved");
  expectThat(
    after.length === before.length + 4 || before.includes(poison.id),
    `The append resolved, but its last message is not there: ${show(after)}`,
  );
}

export const appendingCases: MessageCase[] = [...appending, ...allOrNothing, poisonedAnswer];
