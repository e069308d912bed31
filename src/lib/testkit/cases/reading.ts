/** Readers that come at every moment of a writer's way. */
import { expectEqual, expectThat, show } from "../expect.ts";
import type { MessageCase } from "../case.ts";
import { atOnce, later, offsets, pause } from "../gate.ts";
import type { MessageStore } from "../../core/store.ts";
import { answer, here, idsOf, numbered, partial, prompt, prompts } from "../samples.ts";
import { races } from "./races.ts";

/** Reads again and again until the work is done, and returns what each read gave. */
export async function readDuring<T>(reads: readonly (() => Promise<T>)[], work: () => Promise<unknown>): Promise<T[]> {
  const seen: T[] = [];
  let isDone = false;
  async function readOn(read: () => Promise<T>): Promise<void> {
    while (!isDone) {
      seen.push(await read());
      await pause();
    }
  }
  await atOnce<unknown>([
    ...offsets.flatMap((turns) => reads.map((read) => later(turns, () => readOn(read)))),
    () => work().finally(() => (isDone = true)),
  ]);
  return seen;
}

/** Reads the ids of the thread on both instances. */
const ids = (...stores: MessageStore[]) => stores.map((store) => async () => idsOf(await store.listMessages(here)));

/** Fails unless all lists are among the whole ones. */
function expectWhole(seen: readonly string[][], whole: readonly string[][], what: string): void {
  const known = new Set(whole.map((list) => list.join()));
  const partial = seen.find((list) => !known.has(list.join()));
  expectThat(
    partial === undefined,
    `A reader saw ${what}: ${partial?.length} messages, ${show(partial)}, the last ${show(partial?.slice(-6))}`,
  );
}

export const readingCases: MessageCase[] = races([
  {
    name: "a reader sees each batch whole or not at all",
    invariant: "readers",
    async race(one, other) {
      const batches = numbered("batch", 12).map((name) => numbered(name, 5));
      const lastSix = [one, other].map((store) => async () => idsOf(await store.listMessages(here, { last: 6 })));
      const seen = await readDuring([...ids(one, other), ...lastSix], async () => {
        for (const batch of batches) await one.appendMessages(here, prompts(...batch));
      });
      const whole = [[], ...batches.map((_, index) => batches.slice(0, index + 1).flat())];
      expectWhole(seen, [...whole, ...whole.map((list) => list.slice(-6))], "a part of a batch of 5 during appendMessages");
    },
  },
  {
    name: "a reader sees a large batch whole or not at all",
    invariant: "readers",
    async race(one, other) {
      const batch = numbered("m", 1_000);
      await one.appendMessages(here, prompts("before"));
      const seen = await readDuring(ids(one, other), () => one.appendMessages(here, prompts(...batch)));
      expectWhole(seen, [["before"], ["before", ...batch]], "a part of a batch of 1,000 during appendMessages");
    },
  },
  {
    name: "a reader sees either what is replaced or what takes its place",
    invariant: "readers",
    async race(one, other) {
      const attempts = numbered("attempt", 20).map((name) => [`${name}.step`, "answer"]);
      await one.appendMessages(here, [prompt("prompt"), partial("answer", "prompt")]);
      const seen = await readDuring(ids(one, other), async () => {
        for (const ids of attempts) {
          const batch = ids.map((id) => partial(id, "prompt"));
          await one.appendMessages(here, batch, { replacesAnswerTo: "prompt" });
        }
      });
      const whole = [["answer"], ...attempts].map((ids) => ["prompt", ...ids]);
      expectWhole(seen, whole, "neither the old answer nor the new one during appendMessages with replacesAnswerTo");
    },
  },
  {
    name: "a reader sees one answer of 600 messages or the other",
    invariant: "readers",
    async race(one, other) {
      const attempts = ["first", "second", "third"].map((name) => numbered(name, 600));
      const store = (ids: string[]) =>
        one.appendMessages(
          here,
          ids.map((id) => partial(id, "prompt")),
          { replacesAnswerTo: "prompt" },
        );
      await one.appendMessages(here, prompts("prompt"));
      await store(attempts[0]!);
      const seen = await readDuring(ids(one, other), async () => {
        for (const ids of attempts.slice(1)) await store(ids);
      });
      const whole = attempts.map((ids) => ["prompt", ...ids]);
      expectWhole(seen, whole, "neither the old answer nor the new one during appendMessages with replacesAnswerTo");
    },
  },
  {
    name: "a reader sees a deletion of 600 messages whole or not at all",
    invariant: "readers",
    async race(one, other) {
      const all = numbered("m", 700);
      await one.appendMessages(here, prompts(...all));
      const seen = await readDuring(ids(one, other), () => one.deleteMessages(here, all.slice(50, 650)));
      const left = [...all.slice(0, 50), ...all.slice(650)];
      expectWhole(seen, [all, left], "a part of a deletion of 600 messages during deleteMessages");
      expectEqual(idsOf(await other.listMessages(here)), left, "The thread after the deletion");
    },
  },
  {
    name: "a reader always finds a message that is updated",
    invariant: "readers",
    async race(one, other) {
      await one.appendMessages(here, [prompt("a"), answer("b", "a"), prompt("c")]);
      const reasons = numbered("reason", 20);
      const reads = [one, other].map((store) => () => store.listMessages(here));
      const seen = await readDuring(reads, async () => {
        for (const finishReason of reasons)
          await one.updateMessage(here, "b", { finishReason, message: { role: "assistant", content: finishReason } });
      });
      for (const list of seen) {
        expectEqual(idsOf(list), ["a", "b", "c"], "The thread, read during updateMessage");
        const { finishReason, message } = list[1]!;
        const isWhole = finishReason === "stop" || message.content === finishReason;
        expectThat(isWhole, `A reader saw half of an update during updateMessage: ${show(list[1])}`);
      }
    },
  },
]);
