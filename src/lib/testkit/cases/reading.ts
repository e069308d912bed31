/** Readers that come at every moment of a writer's way. */
import { expectThat, show } from "../expect.ts";
import type { MessageCase } from "../case.ts";
import { atOnce, later } from "../gate.ts";
import type { MessageStore } from "../../core/store.ts";
import { here, idsOf, numbered, part, prompt, prompts } from "../samples.ts";
import { offsets, races } from "./races.ts";

/** Lists the thread again and again until the work is done, and gives the ids of each list. */
async function readDuring(stores: readonly MessageStore[], work: () => Promise<unknown>): Promise<string[][]> {
  const seen: string[][] = [];
  let isDone = false;
  async function read(store: MessageStore): Promise<void> {
    while (!isDone) {
      seen.push(idsOf(await store.listMessages(here)));
      await new Promise((resolve) => setTimeout(resolve)); // a store may need more than microtasks to go on
    }
  }
  await atOnce<unknown>([
    ...offsets.flatMap((turns) => stores.map((store) => later(turns, () => read(store)))),
    () => work().finally(() => (isDone = true)),
  ]);
  return seen;
}

export const readingCases: MessageCase[] = races([
  {
    name: "a reader sees each batch whole or not at all",
    invariant: "readers",
    async race(one, other) {
      const batches = numbered("batch", 12).map((name) => numbered(name, 5));
      const seen = await readDuring([one, other], async () => {
        for (const batch of batches) await one.appendMessages(here, prompts(...batch));
      });
      const whole = batches.map((_, index) =>
        batches
          .slice(0, index + 1)
          .flat()
          .join(),
      );
      for (const ids of seen)
        expectThat(ids.length === 0 || whole.includes(ids.join()), `A reader saw a part of a batch: ${show(ids.slice(-6))}`);
    },
  },
  {
    name: "a reader sees either what is replaced or what takes its place",
    invariant: "readers",
    async race(one, other) {
      const attempts = numbered("attempt", 20).map((name) => [`${name}.step`, "answer"]);
      await one.appendMessages(here, [prompt("prompt"), part("answer", "prompt")]);
      const seen = await readDuring([one, other], async () => {
        for (const ids of attempts) {
          const batch = ids.map((id) => part(id, "prompt"));
          await one.appendMessages(here, batch, { replacesAnswerTo: "prompt" });
        }
      });
      const whole = [["answer"], ...attempts].map((ids) => ["prompt", ...ids].join());
      for (const ids of seen) expectThat(whole.includes(ids.join()), `A reader saw neither the one nor the other: ${show(ids)}`);
    },
  },
]);
