/** Updating and deleting messages. */
import { expectEqual, expectThat, show } from "../expect.ts";
import type { MessageCase } from "../case.ts";
import { answer, here, idsOf, key, numbered, partial, prompt, prompts, someTime } from "../samples.ts";
import type { MessageChange, StoredMessage } from "../../core/store.ts";

const elsewhere = [key("another"), key(here.threadId, "someone")];

const thread = (): StoredMessage[] => [prompt("a"), answer("b", "a"), prompt("c"), answer("d", "c")];

export const changingCases: MessageCase[] = [
  {
    name: "an update changes the fields it names, in place",
    invariant: "updateInPlace",
    async body(store) {
      const changes: [string, MessageChange][] = [
        ["b", { message: { role: "assistant", content: "new text" } }],
        ["b", { status: "stopped", finishReason: "length" }],
        ["a", { createdAt: someTime + 1 }],
        ["d", { usage: { prompt_tokens: 1, completion_tokens: 2, total_tokens: 3 } }],
        ["a", { message: { role: "user", content: [{ type: "text", text: "parts" }] } }],
        ["c", { finishReason: "stop" }],
        ["b", {}],
      ];
      const stored = thread();
      await store.appendMessages(here, stored);
      for (const [id, change] of changes) {
        expectEqual(await store.updateMessage(here, id, change), true, `What the update of "${id}" to ${show(change)} resolved to`);
        Object.assign(
          stored.find((message) => message.id === id)!,
          change,
        );
        expectEqual(await store.listMessages(here), stored, `The thread after the update of "${id}" to ${show(change)}`);
      }
    },
  },
  {
    name: "a field that is undefined in an update stays as it is",
    invariant: "updateInPlace",
    async body(store) {
      await store.appendMessages(here, thread());
      const change: unknown = { status: "failed", message: undefined, createdAt: undefined, finishReason: undefined, usage: undefined };
      await store.updateMessage(here, "b", change as MessageChange);
      expectEqual(await store.listMessages(here), thread().with(1, { ...answer("b", "a"), status: "failed" }), "The thread");
    },
  },
  {
    name: "an update keeps fields the store does not know",
    invariant: "updateInPlace",
    async body(store) {
      const stored = { ...answer("b", "a"), later: { added: [1, null, "x"] } };
      await store.appendMessages(here, [prompt("a"), stored, prompt("c")]);
      await store.updateMessage(here, "b", { status: "stopped" });
      expectEqual(await store.listMessages(here), [prompt("a"), { ...stored, status: "stopped" }, prompt("c")], "The thread");
    },
  },
  {
    name: "a thread grows in order after an update",
    invariant: "updateInPlace",
    async body(store) {
      await store.appendMessages(here, prompts("a", "b"));
      await store.updateMessage(here, "a", { status: "stopped" });
      await store.appendMessages(here, prompts("c"));
      expectEqual(idsOf(await store.listMessages(here)), ["a", "b", "c"], "The thread");
      expectEqual(idsOf(await store.listMessages(here, { last: 2 })), ["b", "c"], "Its last 2");
    },
  },
  {
    name: "updating what is not there gives false and creates nothing",
    invariant: "updateUnknown",
    async body(store) {
      const change: MessageChange = { message: { role: "user", content: "new text" }, status: "complete", createdAt: someTime };
      expectEqual(await store.updateMessage(here, "a", change), false, "What the update in an unknown thread resolved to");
      expectEqual(await store.listMessages(here), [], "The unknown thread");
      await store.appendMessages(here, thread());
      expectEqual(await store.updateMessage(here, "x", change), false, "What the update of an unknown id resolved to");
      await store.deleteMessages(here, ["c"]);
      expectEqual(await store.updateMessage(here, "c", change), false, "What the update of a deleted message resolved to");
      expectEqual(await store.listMessages(here), thread().toSpliced(2, 1), "The thread");
    },
  },
  {
    name: "an update leaves the same id in other threads alone",
    invariant: "isolation",
    async body(store) {
      for (const other of [here, ...elsewhere]) await store.appendMessages(other, prompts("a", "b"));
      await store.updateMessage(here, "a", { status: "stopped" });
      for (const other of elsewhere) expectEqual(await store.listMessages(other), prompts("a", "b"), `The thread ${show(other)}`);
      await store.appendMessages(here, prompts("c"));
      for (const other of elsewhere) {
        expectEqual(
          await store.updateMessage(other, "c", { status: "failed" }),
          false,
          `What the update of a stranger's message in ${show(other)} resolved to`,
        );
      }
      expectEqual(await store.listMessages(here), [{ ...prompt("a"), status: "stopped" }, ...prompts("b", "c")], "The thread");
    },
  },
  {
    name: "an update that cannot be stored leaves the message as it was",
    invariant: "updateInPlace",
    async body(store) {
      const poisons: unknown[] = [
        {
          get finishReason() {
            throw new Error("This getter throws");
          },
        },
        { finishReason: 1n },
      ];
      await store.appendMessages(here, thread());
      for (const poison of poisons) {
        const stored = await store.updateMessage(here, "b", poison as MessageChange).then(
          () => true,
          () => false,
        );
        if (!stored) expectEqual(await store.listMessages(here), thread(), `The thread after the update to ${show(poison)} rejected`);
      }
      await store.updateMessage(here, "b", answer("b", "a"));
      expectEqual(await store.listMessages(here), thread(), "The thread after a further update");
    },
  },
  {
    name: "deleting messages removes those and no others",
    invariant: "deleteMessages",
    async body(store) {
      const ids = numbered("m", 8);
      await store.appendMessages(here, prompts(...ids));
      await store.deleteMessages(here, ["m.6", "m.1", "m.1", "x", "m.2"]);
      expectEqual(await store.listMessages(here), prompts("m.0", "m.3", "m.4", "m.5", "m.7"), "The thread");
      await store.deleteMessages(here, []);
      await store.deleteMessages(here, ["x", "m.1"]);
      expectEqual(idsOf(await store.listMessages(here)), ["m.0", "m.3", "m.4", "m.5", "m.7"], "The thread after deleting nothing");
      await store.deleteMessages(here, ids);
      expectEqual(await store.listMessages(here), [], "The thread after deleting all");
      await store.appendMessages(here, [prompt("a"), answer("b", "a"), partial("c", "a")]);
      await store.deleteMessages(here, ["a"]);
      expectEqual(
        await store.listMessages(here),
        [answer("b", "a"), partial("c", "a")],
        "The thread after deleting a prompt, but not its answer",
      );
      await store.deleteMessages(here, ["b", "c"]);
      expectEqual(await store.listMessages(here, { last: 3 }), [], "Its last 3");
    },
  },
  {
    name: "a deleted id can be stored again",
    invariant: "deleteMessages",
    async body(store) {
      await store.appendMessages(here, prompts("a", "b", "c"));
      await store.deleteMessages(here, ["b"]);
      expectEqual(await store.appendMessages(here, [prompt("b", "new text")]), ["b"], "The ids of the append");
      expectEqual(await store.listMessages(here), [...prompts("a", "c"), prompt("b", "new text")], "The thread");
      await store.appendMessages(here, [answer("d", "a")], { replacesAnswerTo: "a" });
      await store.deleteMessages(here, ["a", "d"]);
      await store.appendMessages(here, prompts("a"));
      expectEqual(
        await store.appendMessages(here, [answer("e", "a")], { replacesAnswerTo: "a" }),
        ["e"],
        "The ids of an answer to a prompt stored again",
      );
    },
  },
  {
    name: "1,000 messages are deleted at once",
    invariant: "deleteMessages",
    async body(store) {
      const ids = numbered("m", 1_100);
      for (const batch of [ids.slice(0, 550), ids.slice(550)]) await store.appendMessages(here, prompts(...batch));
      await store.deleteMessages(here, ids.slice(50, 1_050));
      expectEqual(idsOf(await store.listMessages(here)), [...ids.slice(0, 50), ...ids.slice(1_050)], "The thread");
    },
  },
  {
    name: "deleting messages leaves other threads alone",
    invariant: "isolation",
    async body(store) {
      for (const other of [here, ...elsewhere]) await store.appendMessages(other, prompts("a", "b"));
      await store.deleteMessages(here, ["a", "b"]);
      for (const other of elsewhere) expectEqual(await store.listMessages(other), prompts("a", "b"), `The thread ${show(other)}`);
      await store.appendMessages(here, prompts("c"));
      for (const other of elsewhere) await store.deleteMessages(other, ["c"]);
      await store.deleteMessages(key("unknown"), ["c"]);
      expectEqual(await store.listMessages(here), prompts("c"), "The thread after deletions by strangers");
      expectThat((await store.listMessages(key("unknown"))).length === 0, "Deleting in an unknown thread made messages");
    },
  },
];
