/** Answering: a batch replaces what a failed attempt left, never a complete answer. */
import { expectEqual, show } from "../expect.ts";
import type { MessageCase } from "../case.ts";
import type { StoredMessage } from "../../core/store.ts";
import { answer, here, idsOf, key, noise, numbered, oddIds, partial, prompt, prompts } from "../samples.ts";

/** A failed attempt that called a tool. */
const steps = (promptId: string, name = ""): StoredMessage[] => [
  {
    ...partial(`call${name}`, promptId),
    message: {
      role: "assistant",
      content: null,
      tool_calls: [{ id: `id${name}`, type: "function", function: { name: "f", arguments: "{}" } }],
    },
  },
  { ...partial(`result${name}`, promptId), message: { role: "tool", tool_call_id: `id${name}`, content: "result" } },
  partial(`end${name}`, promptId),
];

/** A prompt with a partial answer, one with a complete answer, and one without. */
const thread = (): StoredMessage[] => [prompt("a"), ...steps("a"), prompt("c"), answer("d", "c"), prompt("e")];

export const answeringCases: MessageCase[] = [
  {
    name: "an answer is stored only where its prompt is in the thread",
    invariant: "replacesAnswerTo",
    async body(store) {
      const batch = [partial("b", "a"), partial("c", "a")];
      expectEqual(await store.appendMessages(here, batch, { replacesAnswerTo: "a" }), [], "The ids of an answer in an unknown thread");
      expectEqual(await store.listMessages(here), [], "The unknown thread");
      await store.appendMessages(here, prompts("x"));
      expectEqual(await store.appendMessages(here, batch, { replacesAnswerTo: "a" }), [], "The ids where the prompt is not there");
      await store.appendMessages(here, prompts("a"));
      expectEqual(
        [...(await store.appendMessages(here, batch, { replacesAnswerTo: "a" }))].sort(),
        ["b", "c"],
        "The ids where the prompt is there",
      );
      expectEqual(await store.listMessages(here), [...prompts("x", "a"), ...batch], "The thread");
      await store.deleteMessages(here, ["a"]);
      expectEqual(
        await store.appendMessages(here, [answer("d", "a")], { replacesAnswerTo: "a" }),
        [],
        "The ids where the prompt was deleted",
      );
      expectEqual(await store.listMessages(here), [...prompts("x"), ...batch], "The thread after the deletion of the prompt");
    },
  },
  {
    name: "an answer takes the place of a failed attempt in front of its prompt",
    invariant: "replacesAnswerTo",
    async body(store) {
      await store.appendMessages(here, [partial("b", "a"), partial("c", "a"), ...prompts("x", "a")]);
      const batch = [answer("c", "a")];
      expectEqual(await store.appendMessages(here, batch, { replacesAnswerTo: "a" }), ["c"], "The ids");
      expectEqual(await store.listMessages(here), [...prompts("x", "a"), ...batch], "The thread");
    },
  },
  {
    name: "a prompt in another thread is not the one to answer",
    invariant: "replacesAnswerTo",
    async body(store) {
      await store.appendMessages(here, prompts("a"));
      for (const other of [key("another"), key(here.threadId, "someone")]) {
        await store.appendMessages(other, prompts("b"));
        expectEqual(
          await store.appendMessages(other, [answer("c", "a")], { replacesAnswerTo: "a" }),
          [],
          `The ids of an answer in ${show(other)}`,
        );
        expectEqual(idsOf(await store.listMessages(other)), ["b"], `The thread ${show(other)}`);
      }
    },
  },
  {
    name: "an answer takes the place of a failed attempt, at the end",
    invariant: "replacesAnswerTo",
    async body(store) {
      await store.appendMessages(here, thread());
      const before = [prompt("a"), prompt("c"), answer("d", "c"), prompt("e")];
      const attempts = [
        [partial("end", "a", "stopped")],
        steps("a"),
        steps("a", " 2"),
        [partial("another", "a")],
        [partial("end 2", "a"), partial("call", "a")],
        [answer("step", "a"), answer("end", "a")],
      ];
      for (const batch of attempts) {
        const ids = await store.appendMessages(here, batch, { replacesAnswerTo: "a" });
        expectEqual([...ids].sort(), idsOf(batch).sort(), `The ids of the answer ${show(idsOf(batch))}`);
        expectEqual(await store.listMessages(here), [...before, ...batch], `The thread after the answer ${show(idsOf(batch))}`);
        expectEqual(idsOf(await store.listMessages(here, { last: 4 })), idsOf([...before, ...batch]).slice(-4), "Its last 4");
      }
    },
  },
  {
    name: "a prompt that is answered is not answered again",
    invariant: "replacesAnswerTo",
    async body(store) {
      await store.appendMessages(here, thread());
      await store.appendMessages(here, [partial("half", "e"), answer("whole", "e"), partial("other half", "e", "stopped")]);
      const result = {
        ...answer("the result", "f"),
        message: { role: "tool" as const, tool_call_id: "call", content: "a whole tool result" },
      };
      await store.appendMessages(here, [prompt("f"), partial("the call", "f"), result, partial("the text", "f")]);
      const stored = await store.listMessages(here);
      for (const id of ["c", "e", "f"]) {
        for (const batch of [
          [answer("new", id)],
          [partial("late", id)],
          steps(id, " of it"),
          [answer(id === "c" ? "d" : "whole", id)],
          [partial("half", id)],
        ]) {
          expectEqual(
            await store.appendMessages(here, batch, { replacesAnswerTo: id }),
            [],
            `The ids of ${show(idsOf(batch))}, once "${id}" is answered`,
          );
          expectEqual(await store.listMessages(here), stored, `The thread after ${show(idsOf(batch))}, once "${id}" is answered`);
        }
      }
    },
  },
  {
    name: "an answer with an id that is taken is not stored, nor is anything removed for it",
    invariant: "replacesAnswerTo",
    async body(store) {
      await store.appendMessages(here, [...thread(), partial("broken", "e")]);
      const stored = await store.listMessages(here);
      for (const taken of ["a", "c", "d", "e", "broken"]) {
        for (const batch of [[answer(taken, "a")], [partial("new", "a"), partial(taken, "a")], [partial(taken, "a"), answer("end", "a")]]) {
          expectEqual(await store.appendMessages(here, batch, { replacesAnswerTo: "a" }), [], `The ids of ${show(idsOf(batch))}`);
          expectEqual(await store.listMessages(here), stored, `The thread after ${show(idsOf(batch))}`);
        }
      }
    },
  },
  {
    name: "an id repeated in an answer is stored once, as it came first",
    invariant: "idOnce",
    async body(store) {
      await store.appendMessages(here, thread());
      const ids = await store.appendMessages(here, [partial("end", "a"), answer("new", "a"), answer("end", "a")], {
        replacesAnswerTo: "a",
      });
      expectEqual([...ids].sort(), ["end", "new"], "The ids of the answer");
      expectEqual((await store.listMessages(here)).slice(-2), [partial("end", "a"), answer("new", "a")], "The end of the thread");
    },
  },
  {
    name: "an update decides whether a prompt is answered",
    invariant: "replacesAnswerTo",
    async body(store) {
      const reply = (message: StoredMessage) => store.appendMessages(here, [message], { replacesAnswerTo: "a" });
      await store.appendMessages(here, [prompt("a"), partial("b", "a"), prompt("c")]);
      await store.updateMessage(here, "b", { finishReason: "length" });
      expectEqual(await reply(partial("b", "a", "stopped")), ["b"], "The ids after an update that left the status");
      await store.updateMessage(here, "b", { status: "complete" });
      await store.updateMessage(here, "b", { message: { role: "assistant", content: "with form state" } });
      expectEqual(await reply(answer("b", "a")), [], "The ids after an update to complete");
      await store.updateMessage(here, "b", { status: "failed" });
      await store.updateMessage(here, "a", { status: "failed" });
      expectEqual(await reply(answer("x", "a")), ["x"], "The ids after an update to failed");
      await store.updateMessage(here, "x", { message: { role: "assistant", content: "with form state" } });
      expectEqual(await reply(partial("x", "a")), [], "The ids once it is answered");
      expectEqual(idsOf(await store.listMessages(here)), ["a", "c", "x"], "The thread");
    },
  },
  {
    name: "a failed attempt is what is stored of it, whatever was deleted before",
    invariant: "replacesAnswerTo",
    async body(store) {
      await store.appendMessages(here, [prompt("a"), prompt("c"), answer("b", "a")]);
      await store.appendMessages(here, [partial("d", "a"), partial("e", "a")]);
      await store.deleteMessages(here, ["b", "d"]);
      await store.appendMessages(here, [partial("d", "c"), partial("f", "a")]);
      expectEqual(
        await store.appendMessages(here, [partial("d", "a")], { replacesAnswerTo: "a" }),
        [],
        "The ids with one that now belongs to another prompt",
      );
      expectEqual(
        await store.appendMessages(here, [partial("b", "a")], { replacesAnswerTo: "a" }),
        ["b"],
        "The ids after the deletion of a whole answer",
      );
      expectEqual(idsOf(await store.listMessages(here)), ["a", "c", "d", "b"], "The thread");
      await store.deleteMessages(here, ["b", "d"]);
      expectEqual(
        await store.appendMessages(here, [answer("d", "a")], { replacesAnswerTo: "a" }),
        ["d"],
        "The ids after the deletion of everything",
      );
      expectEqual(
        await store.appendMessages(here, [answer("b", "c")], { replacesAnswerTo: "c" }),
        ["b"],
        "The ids of an answer to the other prompt",
      );
      expectEqual(await store.listMessages(here), [...prompts("a", "c"), answer("d", "a"), answer("b", "c")], "The thread in the end");
    },
  },
  {
    name: "answers to the same prompt id in other threads are left alone",
    invariant: "isolation",
    async body(store) {
      const others = [key("another"), key(here.threadId, "someone")];
      const stored = [
        [prompt("a"), answer("b", "a")],
        [prompt("a"), partial("b", "a"), partial("c", "a")],
      ];
      for (const [index, other] of others.entries()) await store.appendMessages(other, stored[index]!);
      await store.appendMessages(here, [prompt("a"), partial("b", "a")]);
      expectEqual(await store.appendMessages(here, [answer("b", "a")], { replacesAnswerTo: "a" }), ["b"], "The ids of an answer");
      expectEqual(await store.listMessages(here), [prompt("a"), answer("b", "a")], "The thread");
      for (const [index, other] of others.entries())
        expectEqual(await store.listMessages(other), stored[index], `The thread ${show(other)}`);
    },
  },
  {
    name: "ids of answered prompts are compared exactly",
    invariant: "messageIds",
    async body(store) {
      const ids = oddIds.filter((id) => id.length < 100);
      const stored = ids.map((id, index) => [prompt(id), partial(`answer ${index}`, id)]);
      await store.appendMessages(here, stored.flat());
      for (const [index, id] of ids.entries()) {
        const batch = [answer(`answer ${index}`, id)];
        expectEqual(await store.appendMessages(here, batch, { replacesAnswerTo: id }), idsOf(batch), `The ids of an answer to ${show(id)}`);
      }
      const answered = ids.map((id, index) => answer(`answer ${index}`, id));
      expectEqual(await store.listMessages(here), [...prompts(...ids), ...answered], "The thread");
      expectEqual(
        await store.appendMessages(here, [answer("x", noise(300))], { replacesAnswerTo: noise(300) }),
        [],
        "The ids of an answer to a long id",
      );
    },
  },
  {
    name: "a failed attempt of many messages is replaced at once",
    invariant: "replacesAnswerTo",
    async body(store) {
      const ids = numbered("m", 1_200);
      const parts = ids.map((id) => partial(id, "a"));
      await store.appendMessages(here, [prompt("a"), ...parts.slice(0, 600)]);
      await store.appendMessages(here, parts.slice(600));
      await store.appendMessages(here, [...parts.slice(600), answer("b", "a")], { replacesAnswerTo: "a" });
      expectEqual(idsOf(await store.listMessages(here)), ["a", ...ids.slice(600), "b"], "The thread");
    },
  },
];
