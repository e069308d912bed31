/** Answers that meet each other, and other calls. */
import { expectEqual, expectThat, show } from "../expect.ts";
import type { MessageCase } from "../case.ts";
import { atOnce, later, meetings } from "../gate.ts";
import type { MessageStore, StoredMessage, ThreadKey } from "../../core/store.ts";
import { answer, here, idsOf, key, numbered, partial, prompt, prompts } from "../samples.ts";
import { races } from "./races.ts";

/** Stores a complete or a partial answer with a step before its end. Its name is in the step and in the text. */
async function reply(store: MessageStore, thread = here, name = "", end = answer("b", "a")): Promise<string[]> {
  const message = { role: "assistant" as const, content: `Attempt${name}` };
  return store.appendMessages(thread, [partial(`step${name}`, "a", end.status), { ...end, message }], { replacesAnswerTo: "a" });
}

const broken = (): StoredMessage[] => [prompt("a"), partial("old step", "a"), partial("b", "a")];

/** Two answers to one prompt, under the same id or two, in the place of a partial one or of none: only one is stored. */
const twoAnswers = [
  { what: "in the place of a partial one", before: broken(), second: "b" },
  { what: "under different ids in the place of a partial one", before: broken(), second: "c" },
  { what: "under different ids to a new prompt", before: prompts("a"), second: "c" },
];

/** Lets two calls meet on threads that hold `before`. */
const meetingsOver = (
  one: MessageStore,
  before: StoredMessage[],
  round: (thread: ThreadKey, name: string, first: number, second: number) => Promise<void>,
): Promise<void> =>
  meetings(async (name, first, second) => {
    const thread = key(`${name}, ${before.length}`);
    await one.appendMessages(thread, before);
    await round(thread, name, first, second);
  });

export const answerRaceCases: MessageCase[] = races([
  ...twoAnswers.map(({ what, before, second: secondId }) => ({
    name: `of two answers at once, ${what}, one is stored`,
    invariant: "replacesAnswerTo" as const,
    async race(one: MessageStore, other: MessageStore) {
      await meetingsOver(one, before, async (thread, name, first, second) => {
        const results = await atOnce([
          later(first, () => reply(one, thread, " 1")),
          later(second, () => reply(other, thread, " 2", answer(secondId, "a"))),
        ]);
        const winner = results.findIndex((ids) => ids.length > 0);
        expectEqual(results[1 - winner], [], `The ids of the answer that came second (${name})`);
        const [found, step, end, ...more] = await one.listMessages(thread);
        expectEqual(found, prompt("a"), `The first message (${name})`);
        expectEqual([step?.id, end?.id, more], [`step ${winner + 1}`, ["b", secondId][winner], []], `The messages after it (${name})`);
        expectEqual(end?.message.content, `Attempt ${winner + 1}`, `The answer (${name})`);
      });
    },
  })),
  {
    name: "a partial answer that meets the complete one never takes its place",
    invariant: "replacesAnswerTo",
    async race(one, other) {
      await meetingsOver(one, broken(), async (thread, name, first, second) => {
        const [whole] = await atOnce([
          later(first, () => reply(one, thread, " 1")),
          later(second, () => reply(other, thread, " 2", partial("b", "a"))),
        ]);
        expectEqual([...whole!].sort(), ["b", "step 1"], `The ids of the whole answer (${name})`);
        expectEqual(idsOf(await one.listMessages(thread)), ["a", "step 1", "b"], `The thread (${name})`);
      });
    },
  },
  {
    name: "what becomes complete at that moment is not replaced afterwards",
    invariant: "replacesAnswerTo",
    async race(one, other) {
      await meetingsOver(one, broken(), async (thread, name, first, second) => {
        const [ids, isUpdated] = await atOnce<unknown>([
          later(first, () => reply(one, thread, "", partial("b", "a"))),
          later(second, () => other.updateMessage(thread, "b", { status: "complete" })),
        ]);
        expectEqual(isUpdated, true, `What the update resolved to (${name})`);
        const stored = await one.listMessages(thread);
        expectEqual(stored.at(-1)?.status, "complete", `The status of the last message of ${show(idsOf(stored))} (${name})`);
        const step = Array.isArray(ids) && ids.length > 0 ? "step" : "old step";
        expectEqual(idsOf(stored), ["a", step, "b"], `The thread, the answer having given ${show(ids)} (${name})`);
      });
    },
  },
  {
    name: "an answer does not come back after its prompt was deleted",
    invariant: "replacesAnswerTo",
    async race(one, other) {
      for (const before of [prompts("a"), broken()]) {
        await meetingsOver(one, before, async (thread, name, first, second) => {
          await atOnce<unknown>([
            later(first, () => reply(one, thread)),
            later(second, () => other.deleteMessages(thread, ["a", "old step", "step", "b"])),
          ]);
          expectEqual(await one.listMessages(thread), [], `The thread of ${before.length} after its deletion met an answer (${name})`);
        });
      }
    },
  },
  {
    name: "answers and prompts at once keep each batch contiguous and lose none",
    invariant: "contiguous",
    async race(one, other) {
      const asked = numbered("prompt", 6);
      await one.appendMessages(
        here,
        asked.flatMap((id) => [prompt(id), partial(`old ${id}`, id)]),
      );
      await atOnce(
        asked.flatMap((id, index) => [
          () =>
            (index % 2 ? other : one).appendMessages(
              here,
              [1, 2, 3].map((n) => answer(`${id}/${n}`, id)),
              { replacesAnswerTo: id },
            ),
          () => (index % 2 ? one : other).appendMessages(here, prompts(`single.${index}`)),
        ]),
      );
      const ids = idsOf(await one.listMessages(here));
      expectEqual(ids.slice(0, 6), asked, "The prompts");
      for (const id of asked) {
        const from = ids.indexOf(`${id}/1`);
        expectThat(from >= 0, `The thread lacks the answer to ${show(id)}: ${show(ids)}`);
        expectEqual(
          ids.slice(from, from + 3),
          [1, 2, 3].map((n) => `${id}/${n}`),
          `The answer to ${show(id)}`,
        );
      }
      expectEqual(ids.length, 6 + 6 * 3 + 6, `How many messages there are, of ${show(ids)}`);
    },
  },
]);
