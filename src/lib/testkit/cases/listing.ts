/** Reading a thread: order, the newest n, unknown threads, returned values. */
import { expectEqual, expectThat } from "../expect.ts";
import type { MessageCase } from "../case.ts";
import type { MessageStore, StoredMessage } from "../../core/store.ts";
import { answer, here, idsOf, key, noise, numbered, prompt, prompts, someTime } from "../samples.ts";
import { withClock } from "../clock.ts";
import { atOnce } from "../gate.ts";

/** The bytes of messages as JSON: no store counts more. */
function bytesOf(messages: readonly StoredMessage[]): number {
  const encoder = new TextEncoder();
  return messages.reduce((sum, message) => sum + encoder.encode(JSON.stringify(message)).length, 0);
}

/** Reads the thread with several `maxCharacters`, around the sizes of its newest messages. */
async function expectWithin(store: MessageStore, stored: readonly StoredMessage[]): Promise<void> {
  const sizes = stored.map((_, index) => bytesOf(stored.slice(index)));
  const budgets = new Set([1, ...sizes.flatMap((size) => [size - 1, size, size + 1]), 10_000_000]);
  for (const maxCharacters of budgets) {
    for (const last of [undefined, 1, 3, 100]) {
      const list = await store.listMessages(here, { last, maxCharacters });
      const what = `With last: ${last} and maxCharacters: ${maxCharacters}`;
      const needed = stored.findLastIndex((_, index) => sizes[index]! >= maxCharacters);
      const least = Math.min(stored.length - Math.max(needed, 0), last ?? Infinity);
      expectThat(list.length >= least, `${what}: expected at least ${least} messages, got ${list.length}`);
      expectThat(list.length <= (last ?? Infinity), `${what}: expected at most ${last} messages, got ${list.length}`);
      expectEqual(list, stored.slice(-list.length), what);
    }
  }
}

export const listingCases: MessageCase[] = [
  {
    name: "an unknown thread is empty",
    invariant: "unknownThread",
    async body(store) {
      expectEqual(await store.listMessages(here), [], "Messages of a thread in an empty store");
      await store.appendMessages(here, prompts("a"));
      expectEqual(await store.listMessages(key("another")), [], "Messages of an unknown thread");
      expectEqual(await store.listMessages(key("another"), { last: 3 }), [], "The last messages of an unknown thread");
      expectEqual(await store.listMessages(key(here.threadId, "another")), [], "Messages of an unknown owner's thread");
    },
  },
  {
    name: "messages come back as they were appended",
    invariant: "order",
    async body(store) {
      const stored = [prompt("z"), answer("m", "z"), prompt("a"), answer("10", "a"), prompt("9"), answer("1", "9"), prompt("B")];
      await store.appendMessages(here, stored.slice(0, 1));
      await store.appendMessages(here, stored.slice(1, 3));
      await store.appendMessages(here, stored.slice(3));
      expectEqual(await store.listMessages(here), stored, "The thread");
    },
  },
  {
    name: "`createdAt` running backwards or standing still changes no order",
    invariant: "order",
    async body(store) {
      const times = [5, 5, 3, 4, 3, 1, 1, 2, 0];
      const stored = times.map((time, index) => ({ ...prompt(`m.${index}`), createdAt: someTime + time }));
      for (let from = 0; from < stored.length; from += 3) await store.appendMessages(here, stored.slice(from, from + 3));
      expectEqual(idsOf(await store.listMessages(here)), idsOf(stored), "The thread");
      expectEqual(idsOf(await store.listMessages(here, { last: 4 })), idsOf(stored.slice(-4)), "Its last 4");
    },
  },
  {
    name: "a clock running backwards or standing still changes no order",
    invariant: "order",
    async body(store) {
      await withClock([9, 9, 7, 8, 1, 1, 2, 0], (id) => store.appendMessages(here, prompts(`${id}.0`, `${id}.1`)));
      expectEqual(
        idsOf(await store.listMessages(here)),
        [0, 1, 2, 3, 4, 5, 6, 7].flatMap((id) => [`${id}.0`, `${id}.1`]),
        "The thread",
      );
    },
  },
  {
    name: "10,000 messages keep their order",
    invariant: "order",
    async body(store) {
      const ids = numbered("m", 10_000);
      for (let from = 0; from < ids.length; from += 500) await store.appendMessages(here, prompts(...ids.slice(from, from + 500)));
      expectEqual(idsOf(await store.listMessages(here)), ids, "The thread");
      expectEqual(idsOf(await store.listMessages(here, { last: 50 })), ids.slice(-50), "Its last 50");
    },
  },
  {
    name: "messages appended after a deletion come last",
    invariant: "order",
    async body(store) {
      await store.appendMessages(here, prompts("a", "b", "c", "d"));
      await store.deleteMessages(here, ["a", "b"]);
      await store.appendMessages(here, prompts("e", "f"));
      await store.deleteMessages(here, ["f"]);
      await store.appendMessages(here, prompts("g", "a"));
      expectEqual(idsOf(await store.listMessages(here)), ["c", "d", "e", "g", "a"], "The thread");
    },
  },
  {
    name: "the last n are the newest, oldest first",
    invariant: "last",
    async body(store) {
      const stored = prompts(...numbered("m", 12));
      await store.appendMessages(here, stored.slice(0, 11));
      await store.appendMessages(here, stored.slice(11));
      for (const last of [1, 2, 10, 11, 12, 13, 1_000]) {
        expectEqual(await store.listMessages(here, { last }), stored.slice(-last), `With last: ${last}`);
      }
      expectEqual(await store.listMessages(here, { last: undefined }), stored, "With last: undefined");
      await store.deleteMessages(here, ["m.10", "m.2"]);
      expectEqual(idsOf(await store.listMessages(here, { last: 2 })), ["m.9", "m.11"], "With last: 2, after a deletion");
    },
  },
  {
    name: "`maxCharacters` gives whole messages from the newest on, at most `last`",
    invariant: "maxCharacters",
    async body(store) {
      expectEqual(await store.listMessages(here, { maxCharacters: 10 }), [], "Messages of an unknown thread, with maxCharacters: 10");
      const texts = ["oldest", noise(5_000), "日本語 é 😀", noise(900), noise(2_000), "\n\u0001", noise(3_000)];
      const stored = texts.map((text, index) => prompt(`m.${index}`, text));
      await store.appendMessages(here, stored.slice(0, 3));
      await store.appendMessages(here, stored.slice(3));
      await expectWithin(store, stored);
      await store.deleteMessages(here, ["m.4"]);
      await expectWithin(store, stored.toSpliced(4, 1));
    },
  },
  {
    name: "`maxCharacters` counts a message as it is after an update",
    invariant: "maxCharacters",
    async body(store) {
      const stored = ["a", "b", "c"].map((id) => prompt(id, noise(4_000)));
      await store.appendMessages(here, stored);
      const message = { role: "user" as const, content: "short" };
      await store.updateMessage(here, "c", { message });
      await expectWithin(store, stored.with(2, { ...stored[2]!, message }));
    },
  },
  {
    name: "changing the messages that were returned changes nothing stored",
    invariant: "copiesOut",
    async body(store) {
      const stored = [prompt("a"), answer("b", "a")];
      const ids = await store.appendMessages(here, stored);
      ids.push("c");
      for (const options of [undefined, { last: 2 }]) {
        const [first, second] = await store.listMessages(here, options);
        expectThat(first !== undefined && second?.usage !== undefined, "The messages that were stored are not there");
        first.message.content = "changed";
        first.status = "failed";
        second.usage.total_tokens = 0;
        const list = await store.listMessages(here, options);
        list.reverse().pop();
        expectEqual(await store.listMessages(here), stored, "The thread after changes to the messages that were returned");
      }
    },
  },
  {
    name: "reads at once are each answered, and share nothing",
    invariant: "last",
    async body(store) {
      const stored = prompts(...numbered("m", 6));
      await store.appendMessages(here, stored);
      await store.appendMessages(key("another"), prompts("a"));
      const limits = [undefined, 2, 5, undefined, 1, 2];
      const lists = await atOnce(limits.map((last) => () => store.listMessages(here, { last })));
      for (const [index, last] of limits.entries())
        expectEqual(
          lists[index],
          stored.slice(last === undefined ? 0 : -last),
          `What listMessages gave with last: ${last}, read at once with others`,
        );
      lists[0]![0]!.message.content = "changed";
      lists[1]!.length = 0;
      expectEqual(lists[3], stored, "What one of two reads at once gave, after a change to what the other gave");
      expectEqual(lists[5], stored.slice(-2), "The last 2 of one of two reads at once, after a change to the other's");
    },
  },
];
