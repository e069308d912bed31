/** Calls that meet: on one instance, and on two instances with the same data. */
import { expectEqual, expectThat, show } from "../expect.ts";
import type { CaseDefinition, MessageCase } from "../case.ts";
import { atOnce, later, meetings } from "../gate.ts";
import type { MessageStore } from "../../core/store.ts";
import { answer, here, idsOf, key, numbered, prompt, prompts } from "../samples.ts";

/** Two stores that race on the same data; both are the same one in a race between calls. */
type Race<Store extends MessageStore> = Pick<CaseDefinition<Store>, "name" | "invariant"> & {
  race(one: Store, other: Store): Promise<void>;
};

/** Each race as two cases: between calls to one instance, and between two instances. */
export function races<Store extends MessageStore>(definitions: readonly Race<Store>[]): CaseDefinition<Store>[] {
  return definitions.flatMap(({ name, invariant, race }) => [
    { name: `${name}, between calls`, invariant, body: (store) => race(store, store) },
    { name: `${name}, between two instances`, invariant, needs: "peer", body: async (store, { peer }) => race(store, await peer()) },
  ]);
}

/** Fails unless the thread holds these batches, each unbroken and in its order, and nothing else. */
async function expectBatches(store: MessageStore, batches: readonly string[][], what: string): Promise<void> {
  const ids = idsOf(await store.listMessages(here));
  for (const batch of batches) {
    const from = ids.indexOf(batch[0]!);
    expectThat(from >= 0, `${what} lacks ${show(batch[0])}: ${show(ids)}`);
    expectEqual(ids.slice(from, from + batch.length), batch, `${what}, from ${show(batch[0])} on`);
  }
  expectEqual(ids.length, batches.flat().length, `How many messages ${what} has`);
  expectEqual(idsOf(await store.listMessages(here, { last: 3 })), ids.slice(-3), `The last 3 of ${what}`);
}

export const raceCases: MessageCase[] = races([
  {
    name: "appends at once keep each batch contiguous and lose none",
    invariant: "contiguous",
    async race(one, other) {
      const batches: string[][] = [];
      for (const round of [1, 2, 3]) {
        const met = Array.from({ length: 10 }, (_, index) => numbered(`${round}.${index}`, 4));
        await atOnce(met.map((batch, index) => () => (index % 2 ? other : one).appendMessages(here, prompts(...batch))));
        batches.push(...met);
        await expectBatches(inTurn(round, one, other), batches, `the thread after round ${round}`);
      }
    },
  },
  {
    name: "two first messages of one thread are both kept",
    invariant: "contiguous",
    async race(one, other) {
      await meetings(async (name, first, second) => {
        const thread = key(name);
        await atOnce([
          later(first, () => one.appendMessages(thread, prompts("a", "b"))),
          later(second, () => other.appendMessages(thread, prompts("c", "d"))),
        ]);
        const ids = idsOf(await one.listMessages(thread)).join();
        expectThat(ids === "a,b,c,d" || ids === "c,d,a,b", `Two batches [a, b] and [c, d] at once made a thread of [${ids}]`);
      });
    },
  },
  {
    name: "appends to many threads at once are all kept",
    invariant: "contiguous",
    async race(one, other) {
      const threads = numbered("thread", 20).map((id) => key(id));
      await atOnce(threads.map((thread, index) => () => (index % 2 ? other : one).appendMessages(thread, prompts("a", "b"))));
      for (const thread of threads) expectEqual(idsOf(await one.listMessages(thread)), ["a", "b"], `The thread ${show(thread)}`);
    },
  },
  {
    name: "the same id appended at once is stored once",
    invariant: "idOnce",
    async race(one, other) {
      for (const round of [1, 2, 3]) {
        const id = `m.${round}`;
        const texts = numbered("text", 6);
        const results = await atOnce(texts.map((text, index) => () => (index % 2 ? other : one).appendMessages(here, [prompt(id, text)])));
        const winner = results.findIndex((ids) => ids.length > 0);
        expectEqual(results.flat(), [id], "The ids of all the appends");
        expectEqual(
          await one.listMessages(here, { last: 1 }),
          [prompt(id, texts[winner])],
          "The message of the append that returned its id",
        );
        expectEqual((await one.listMessages(here)).length, round, "How many messages there are");
      }
    },
  },
  {
    name: "batches that share ids are stored once, whichever comes first",
    invariant: "idOnce",
    async race(one, other) {
      const batches = [
        ["a", "b", "c", "d"],
        ["d", "c", "b", "a"],
        ["b", "d", "e"],
        ["e", "a"],
      ];
      const results = await atOnce(batches.map((batch, index) => () => (index % 2 ? other : one).appendMessages(here, prompts(...batch))));
      expectEqual(results.flat().sort(), ["a", "b", "c", "d", "e"], "The ids of all the appends");
      expectEqual(idsOf(await one.listMessages(here)).sort(), ["a", "b", "c", "d", "e"], "The ids in the thread");
    },
  },
  {
    name: "a deletion meets a batch whole or not at all",
    invariant: "deleteMessages",
    async race(one, other) {
      const ids = numbered("m", 5);
      await meetings(async (name, first, second) => {
        const thread = key(name);
        await one.appendMessages(thread, prompts("before", "gone"));
        await atOnce<unknown>([
          later(first, () => one.appendMessages(thread, prompts(...ids))),
          later(second, () => other.deleteMessages(thread, ["gone", ...ids])),
        ]);
        const left = idsOf(await one.listMessages(thread));
        expectEqual(left, left.length === 1 ? ["before"] : ["before", ...ids], `The thread after a deletion met an append (${name})`);
      });
    },
  },
  {
    name: "updates of different fields at once are both kept",
    invariant: "updateInPlace",
    async race(one, other) {
      await meetings(async (name, first, second) => {
        const thread = key(name);
        await one.appendMessages(thread, [answer("a", "a"), prompt("b")]);
        await atOnce([
          later(first, () => one.updateMessage(thread, "a", { status: "stopped" })),
          later(second, () => other.updateMessage(thread, "a", { finishReason: "length" })),
        ]);
        const updated = { ...answer("a", "a"), status: "stopped", finishReason: "length" };
        expectEqual(await one.listMessages(thread), [updated, prompt("b")], `The thread after two updates met (${name})`);
      });
    },
  },
  {
    name: "an update does not undo an append or a deletion",
    invariant: "updateInPlace",
    async race(one, other) {
      await meetings(async (name, first, second) => {
        const thread = key(name);
        await one.appendMessages(thread, prompts("a", "b"));
        await atOnce<unknown>([
          later(first, () => one.updateMessage(thread, "a", { status: "stopped" })),
          later(second, () => other.appendMessages(thread, prompts("c"))),
        ]);
        await atOnce<unknown>([
          later(first, () => one.updateMessage(thread, "b", { status: "stopped" })),
          later(second, () => other.deleteMessages(thread, ["b"])),
        ]);
        expectEqual(
          await one.listMessages(thread),
          [{ ...prompt("a"), status: "stopped" }, prompt("c")],
          `The thread after updates met other calls (${name})`,
        );
      });
    },
  },
]);

/** Which of the two instances reads: each in its turn. */
function inTurn<Store>(round: number, one: Store, other: Store): Store {
  return round % 2 ? other : one;
}
