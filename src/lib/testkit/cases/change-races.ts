/** Updates and deletions that meet each other, and other calls. */
import { expectEqual } from "../expect.ts";
import type { MessageCase } from "../case.ts";
import { answer, here, idsOf, key, numbered, partial, prompt, prompts } from "../samples.ts";
import { atOnce, later, meetings } from "../gate.ts";
import { races } from "./races.ts";

export const changeRaceCases: MessageCase[] = races([
  {
    name: "a deletion undoes no append of other messages",
    invariant: "deleteMessages",
    async race(one, other) {
      await meetings(async (name, first, second) => {
        const thread = key(name);
        await one.appendMessages(thread, [prompt("a"), partial("b", "a"), prompt("gone")]);
        await atOnce<unknown>([
          later(first, () => one.deleteMessages(thread, ["gone"])),
          later(second, () => other.appendMessages(thread, prompts("c", "d"))),
        ]);
        expectEqual(idsOf(await one.listMessages(thread)), ["a", "b", "c", "d"], `The thread after a deletion met an append (${name})`);
        await atOnce<unknown>([
          later(first, () => one.deleteMessages(thread, ["c"])),
          later(second, () => other.appendMessages(thread, [answer("b", "a")], { replacesAnswerTo: "a" })),
        ]);
        expectEqual(
          await one.listMessages(thread),
          [...prompts("a", "d"), answer("b", "a")],
          `The thread after a deletion met an answer (${name})`,
        );
      });
    },
  },
  {
    name: "two deletions at once are both made",
    invariant: "deleteMessages",
    async race(one, other) {
      await meetings(async (name, first, second) => {
        const thread = key(name);
        await one.appendMessages(thread, prompts("a", "b", "c", "d", "e"));
        await atOnce([
          later(first, () => one.deleteMessages(thread, ["a", "c"])),
          later(second, () => other.deleteMessages(thread, ["c", "d"])),
        ]);
        expectEqual(idsOf(await one.listMessages(thread)), ["b", "e"], `The thread after two deletions met (${name})`);
      });
    },
  },
  {
    name: "updates of different messages at once are both kept",
    invariant: "updateInPlace",
    async race(one, other) {
      await meetings(async (name, first, second) => {
        const thread = key(name);
        await one.appendMessages(thread, prompts("a", "b", "c"));
        await atOnce<unknown>([
          later(first, () => one.updateMessage(thread, "a", { status: "stopped" })),
          later(second, () => other.updateMessage(thread, "b", { status: "failed" })),
        ]);
        await atOnce<unknown>([
          later(first, () => one.updateMessage(thread, "a", { finishReason: "length" })),
          later(second, () => other.deleteMessages(thread, ["c"])),
        ]);
        const updated = [
          { ...prompt("a"), status: "stopped", finishReason: "length" },
          { ...prompt("b"), status: "failed" },
        ];
        expectEqual(await one.listMessages(thread), updated, `The thread after updates of different messages met (${name})`);
      });
    },
  },
  {
    name: "many updates of one message at once are all made",
    invariant: "updateInPlace",
    async race(one, other) {
      await one.appendMessages(here, [prompt("a"), answer("b", "a")]);
      const names = numbered("field", 12);
      const results = await atOnce(names.map((name, index) => () => (index % 2 ? other : one).updateMessage(here, "b", { [name]: index })));
      expectEqual(
        results,
        names.map(() => true),
        "What 12 updates at once resolved to",
      );
      const updated = Object.assign(answer("b", "a"), Object.fromEntries(names.map((name, index) => [name, index])));
      expectEqual(await one.listMessages(here), [prompt("a"), updated], "The thread after 12 updates at once");
    },
  },
]);
