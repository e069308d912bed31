/** Values that drivers, columns and queries take for others, and fields that stores take for their own. */
import { expectEqual, show } from "../expect.ts";
import type { MessageCase } from "../case.ts";
import type { MessageChange, StoredMessage } from "../../core/store.ts";
import { answer, here, noise, partial, prompt, someTime } from "../samples.ts";

/** Names under which databases, libraries and stores keep what is their own. */
const columns = [
  ...["_id", "__v", "_rev", "_key", "_etag", "$loki", "$set", "$type", "pk", "sk", "PK", "SK", "ttl", "rowid", "oid", "xmin", "ctid"],
  ...["key", "value", "owner", "threadId", "thread_id", "thread", "messageId", "seq", "position", "index", "activity", "title", "body"],
  ...[
    "data",
    "json",
    "content",
    "role",
    "type",
    "version",
    "updatedAt",
    "updated_at",
    "created_at",
    "deletedAt",
    "deleted",
    "length",
    "toString",
  ],
];

const lookalikes = [
  ...["2024-05-01", "2024-05-01T12:00:00Z", "2024-05-01T12:00:00.000Z", "2024-05-01T12:00:00+02:00", "2024-05-01 12:00:00", "12:00:00"],
  ...["true", "false", "null", "undefined", "NaN", "Infinity", "0", "1", "007", "1.50", "1e3", "-0", "0x10", "9007199254740993"],
  ...["{}", "[]", '{"a": 1}', '[1, "2"]', '"quoted"', "507F1F77BCF86CD799439011", "3F2504E0-4F89-11D3-9A0C-0305E82C3301"],
  ...[
    "data:text/plain;base64,SGVsbG8=",
    "SGVsbG8=",
    "\\x48656c6c6f",
    "\\u0041",
    "&lt;b&gt;",
    "a%20b",
    "b'a'",
    "/Date(1714557600000)/",
    "@a",
    "=1+1",
  ],
];

const exactNumbers = [
  ...[0.1 + 0.2, 1 / 3, 123_456_789.123_456_78, 0.000_000_123_456_789, 9_007_199_254_740_991, -9_007_199_254_740_991, 4_294_967_297],
  ...[1.797_693_134_862_315_7e308, 5e-324, 1e21, 1e-7, 123_456_789_012_345_680_000],
];

/** A message of which every field has a value that is its own name, and one within it does, too. */
const withColumns = (): StoredMessage => {
  const fields = Object.fromEntries(columns.map((name) => [name, `own ${name}`]));
  return { ...fields, ...answer("a", "a"), ...{ later: { ...fields, list: [{ ...fields }] } } };
};

const fields = (message: object): string => JSON.stringify(message);

export const valueCases: MessageCase[] = [
  {
    name: "fields named like columns are kept",
    invariant: "whole",
    async body(store) {
      await store.appendMessages(here, [withColumns()]);
      expectEqual(await store.listMessages(here), [withColumns()], "The message with fields of such names");
      const own = { owner: "new owner", seq: "new seq", _id: "new _id" };
      await store.updateMessage(here, "a", own as MessageChange);
      expectEqual(await store.listMessages(here), [{ ...withColumns(), ...own }], "The message after an update of three of them");
    },
  },
  {
    name: "texts that look like other values stay texts",
    invariant: "whole",
    async body(store) {
      const stored = lookalikes.map((text, index) =>
        Object.assign(prompt(`m.${index}`, text), { later: { text, list: [text], [text]: 1 } }),
      );
      await store.appendMessages(here, stored);
      expectEqual(await store.listMessages(here), stored, "The thread of such texts");
    },
  },
  {
    name: "numbers are kept to the last digit",
    invariant: "whole",
    async body(store) {
      const stored = exactNumbers.map((number, index) => Object.assign(answer(`m.${index}`, "a"), { later: { number, list: [number] } }));
      await store.appendMessages(here, stored);
      expectEqual(await store.listMessages(here), stored, "The thread of such numbers");
      await store.updateMessage(here, "m.1", { status: "stopped" });
      expectEqual(await store.listMessages(here), stored.with(1, { ...stored[1]!, status: "stopped" }), "The thread after an update");
    },
  },
  {
    name: "fields are kept in their order",
    invariant: "whole",
    async body(store) {
      const message = { role: "user" as const, name: "z", content: "a", zeta: { y: 1, x: [{ b: 1, a: 2 }] }, alpha: 1 };
      const { id, promptId, status, createdAt } = prompt("a");
      const stored = { status, zeta: 1, message, id, createdAt, promptId, alpha: { b: null, a: true } };
      await store.appendMessages(here, [stored]);
      const [found] = await store.listMessages(here);
      expectEqual(found, stored, "The message");
      expectEqual(fields(found!.message), fields(message), "The fields of its `message`, in their order");
      expectEqual(fields(found!), fields(stored), "All its fields, in their order");
      await store.updateMessage(here, "a", { status: "stopped" });
      const [updated] = await store.listMessages(here);
      expectEqual(fields(updated!.message), fields(message), "The fields of its `message`, in their order, after updateMessage");
    },
  },
  {
    name: "finish reasons of the future are kept",
    invariant: "whole",
    async body(store) {
      const reasons = ["", "content_filter", "stopped_by_the_operator_of_the_provider", "ÄÖ 日本 😀", noise(300)];
      const stored = reasons.map((finishReason, index) => ({ ...answer(`m.${index}`, "a"), finishReason }));
      await store.appendMessages(here, stored);
      expectEqual(await store.listMessages(here), stored, "The thread");
      for (const finishReason of reasons) {
        await store.updateMessage(here, "m.0", { finishReason });
        expectEqual((await store.listMessages(here))[0], { ...stored[0], finishReason }, "The message after an update");
      }
    },
  },
  {
    name: "a message given in an update takes the place of the whole old one",
    invariant: "updateInPlace",
    async body(store) {
      const call = { id: "call_1", type: "function" as const, function: { name: "f", arguments: "{}" } };
      const details = { prompt_tokens_details: { cached_tokens: 5 } };
      const usage = { prompt_tokens: 1, completion_tokens: 2, total_tokens: 3 };
      const old = { ...answer("a", "a"), later: { x: 1, y: { z: 2 } } };
      const stored = {
        ...old,
        usage: { ...usage, ...details },
        message: { role: "assistant" as const, content: "text", name: "Ada", tool_calls: [call] },
      };
      await store.appendMessages(here, [prompt("before"), stored, prompt("after")]);
      const changes: MessageChange[] = [
        { message: { role: "assistant", content: null } },
        { message: { role: "assistant", content: null, tool_calls: [{ ...call, id: "call_2" }] } },
        { message: { role: "assistant", content: [] } },
        { message: { role: "assistant", content: "text" }, usage },
        { later: { y: {} } } as MessageChange,
      ];
      for (const change of changes) {
        await store.updateMessage(here, "a", change);
        Object.assign(stored, change);
        expectEqual(
          await store.listMessages(here),
          [prompt("before"), stored, prompt("after")],
          `The thread after an update to ${show(change)}`,
        );
      }
    },
  },
  {
    name: "an update may set fields the store does not know, also to null",
    invariant: "updateInPlace",
    async body(store) {
      const stored = { ...answer("a", "a"), feedback: { stars: 5 }, later: 1 };
      await store.appendMessages(here, [stored]);
      const changes: object[] = [
        { feedback: null },
        { later: [] },
        { new: { a: null } },
        { "new.a": 1, $set: { later: 2 }, "": 3 },
        { later: false },
      ];
      for (const change of changes) {
        expectEqual(await store.updateMessage(here, "a", change), true, `What an update to ${show(change)} resolved to`);
        Object.assign(stored, change);
        expectEqual(await store.listMessages(here), [stored], `The message after an update to ${show(change)}`);
      }
    },
  },
  {
    name: "an update changes no id, whatever it holds",
    invariant: "updateInPlace",
    async body(store) {
      await store.appendMessages(here, [prompt("a"), answer("b", "a")]);
      const change = { id: "x", promptId: "y", status: "stopped" as const };
      // A store may refuse it: what matters is that nothing is half changed.
      const updated = await store.updateMessage(here, "b", change).catch(() => false);
      const expected = updated ? { ...answer("b", "a"), status: "stopped" } : answer("b", "a");
      expectEqual(await store.listMessages(here), [prompt("a"), expected], "The thread after an update that holds ids");
      expectEqual(await store.updateMessage(here, "b", { createdAt: someTime + 1 }), true, "What a further update resolved to");
      expectEqual(
        await store.updateMessage(here, "x", { createdAt: someTime }),
        false,
        "What an update of the id in the change resolved to",
      );
    },
  },
  {
    name: "an update to the same values finds the message",
    invariant: "updateInPlace",
    async body(store) {
      await store.appendMessages(here, [answer("a", "a")]);
      const { message, status, finishReason } = answer("a", "a");
      for (const change of [{ message, status, finishReason }, { status }, {}]) {
        expectEqual(await store.updateMessage(here, "a", change), true, `What an update to the same ${show(change)} resolved to`);
        expectEqual(await store.listMessages(here), [answer("a", "a")], `The thread after an update to the same ${show(change)}`);
      }
    },
  },
  {
    name: "a partial answer that mentions another status is replaced",
    invariant: "replacesAnswerTo",
    async body(store) {
      const broken = Object.assign(partial("b", "a"), { later: { status: "complete" }, isComplete: true, complete: true });
      await store.appendMessages(here, [
        prompt("a"),
        broken,
        prompt("c"),
        Object.assign(answer("d", "c"), { later: { status: "failed" } }),
      ]);
      const text = '{"status":"complete"}';
      await store.updateMessage(here, "b", { message: { role: "assistant", content: text } });
      expectEqual(
        await store.appendMessages(here, [answer("b", "a")], { replacesAnswerTo: "a" }),
        ["b"],
        "The ids of an answer in its place",
      );
      expectEqual(
        await store.appendMessages(here, [answer("e", "c")], { replacesAnswerTo: "c" }),
        [],
        "The ids of an answer to what is answered",
      );
    },
  },
];
