/** Clocks that differ, run backwards or stand still: order comes from the store alone. */
import type { MessageCase, ThreadCase } from "../case.ts";
import { withClock } from "../clock.ts";
import { expectEqual } from "../expect.ts";
import { answer, here, idsOf, key, prompts } from "../samples.ts";
import { walk } from "./walk.ts";

/** Clocks of two instances in turn, one hours before the other. */
const twoClocks = [9_000, 10, 9_001, 11, 12, 9_001, 9_002, 12];

export const clockCases: MessageCase[] = [
  {
    name: "two instances whose clocks differ keep messages in order",
    invariant: "order",
    needs: "peer",
    async body(store, { peer }) {
      const other = await peer();
      const instance = (index: number) => (twoClocks[index]! > 1_000 ? store : other);
      await withClock(twoClocks, (index) => instance(index).appendMessages(here, prompts(`${index}.0`, `${index}.1`)));
      const ids = twoClocks.flatMap((_, index) => [`${index}.0`, `${index}.1`]);
      for (const reader of [store, other]) {
        expectEqual(idsOf(await reader.listMessages(here)), ids, "The thread that two instances appended to in turn");
        expectEqual(idsOf(await reader.listMessages(here, { last: 3 })), ids.slice(-3), "Its last 3");
      }
    },
  },
  {
    name: "a store opened later goes on at the end, whatever its clock says",
    invariant: "order",
    needs: "reopen",
    async body(store, { reopen }) {
      await withClock([9_000, 9_001], (index) => store.appendMessages(here, prompts(`before.${index}`)));
      const reopened = await reopen();
      await withClock([10, 11], (index) => reopened.appendMessages(here, prompts(`after.${index}`)));
      expectEqual(idsOf(await reopened.listMessages(here)), ["before.0", "before.1", "after.0", "after.1"], "The thread");
    },
  },
  {
    name: "a clock running backwards loses no update",
    invariant: "updateInPlace",
    async body(store) {
      await store.appendMessages(here, [answer("a", "a")]);
      await withClock([9, 5, 5, 7, 1], async (index) => {
        const updated = await store.updateMessage(here, "a", { finishReason: `reason ${index}` });
        expectEqual(updated, true, `What update ${index} resolved to`);
        expectEqual(
          await store.listMessages(here),
          [{ ...answer("a", "a"), finishReason: `reason ${index}` }],
          `The thread after update ${index}`,
        );
      });
    },
  },
  {
    name: "a clock running backwards hides nothing stored after a deletion",
    invariant: "deleteMessages",
    async body(store) {
      await withClock([9, 8, 7, 6, 5, 4], async (index) => {
        if (index % 2 === 0) {
          await store.appendMessages(here, prompts("a", "b"));
          expectEqual(
            await store.listMessages(here),
            prompts("a", "b"),
            "The thread after an append under an earlier clock than the deletion's",
          );
        } else {
          await store.deleteMessages(here, ["a", "b"]);
          expectEqual(await store.listMessages(here), [], "The thread after a deletion under an earlier clock than the append's");
        }
      });
    },
  },
];

export const threadClockCases: ThreadCase[] = [
  {
    name: "two instances whose clocks differ keep threads in order",
    invariant: "activity",
    needs: "peer",
    async body(store, { peer }) {
      const other = await peer();
      await withClock(twoClocks, (index) => (twoClocks[index]! > 1_000 ? store : other).appendMessages(key(`${index}`), prompts("a")));
      await withClock([12, 9_003], (index) => (index ? store : other).appendMessages(key(`${index}`), prompts("b")));
      const expected = ["1", "0", "7", "6", "5", "4", "3", "2"];
      for (const reader of [store, other])
        expectEqual(await walk(reader, 10), expected, "The threads that two instances appended to in turn");
      expectEqual(await walk(store, 1), expected, "The same in pages of 1");
    },
  },
];
