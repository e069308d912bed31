/** What a message may hold: every kind of content, any text, fields of the future. */
import { expectEqual } from "../expect.ts";
import type { MessageCase } from "../case.ts";
import type { MessageStore, StoredMessage } from "../../core/store.ts";
import { answer, hardTexts, here, key, longText, oddTexts, prompt, prompts, someTime } from "../samples.ts";

/** A message of each kind that OpenAI's form knows, and one that it does not. */
const kinds: Record<string, unknown> = {
  text: { role: "user", content: "Hello" },
  "content parts": {
    role: "user",
    content: [
      { type: "text", text: "What is this?" },
      { type: "image_url", image_url: { url: "data:image/png;base64,iVBORw0KGgo=", detail: "low" } },
    ],
  },
  "tool calls with null content": {
    role: "assistant",
    content: null,
    tool_calls: [
      { id: "call_1", type: "function", function: { name: "weather", arguments: '{"city": "Zürich",\n "days":[1, 2.50]}' } },
      { id: "call_2", type: "function", function: { name: "now", arguments: "" } },
    ],
  },
  "a tool result": { role: "tool", tool_call_id: "call_1", content: '{"degrees":-0.50}' },
  "a tool result of parts": { role: "tool", tool_call_id: "call_2", content: [{ type: "text", text: "noon" }] },
  "no content at all": { role: "assistant", tool_calls: [] },
  "empty content": { role: "assistant", content: "" },
  "a refusal": { role: "assistant", content: null, refusal: "I cannot do that." },
  "audio, annotations and a name": {
    role: "assistant",
    content: "Hi",
    name: "Ada",
    audio: { id: "audio_1" },
    annotations: [{ at: { from: 0, to: 2 } }],
  },
  "a role of the future": {
    role: "narrator",
    content: { empty: {}, deep: [[[{}], []], null, true, 0, 1e21, 0.1, -7, 9_007_199_254_740_991] },
  },
};

const withKind = (id: string, message: unknown): StoredMessage => Object.assign(answer(id, id), { message });

async function keeps(store: MessageStore, stored: StoredMessage[], what: string): Promise<void> {
  const thread = key(what);
  await store.appendMessages(thread, stored);
  expectEqual(await store.listMessages(thread), stored, `The thread with ${what}`);
}

export const contentCases: MessageCase[] = [
  {
    name: "each kind of message is kept as it is",
    invariant: "whole",
    async body(store) {
      for (const [what, message] of Object.entries(kinds)) await keeps(store, [withKind("a", message)], what);
      await keeps(
        store,
        Object.values(kinds).map((message, index) => withKind(`m.${index}`, message)),
        "all of them",
      );
    },
  },
  {
    name: "each optional field is kept, and none is made up",
    invariant: "whole",
    async body(store) {
      const details = { prompt_tokens_details: { cached_tokens: 5, audio_tokens: 0 }, completion_tokens_details: { reasoning_tokens: 9 } };
      const bare = answer("d", "a");
      delete bare.finishReason;
      delete bare.usage;
      const stored: StoredMessage[] = [
        prompt("a"),
        { ...answer("b", "a"), usage: { ...answer("b", "a").usage!, ...details }, finishReason: "tool_calls" },
        { ...answer("c", "a"), status: "stopped", finishReason: undefined, usage: undefined },
        bare,
        { ...answer("e", "a"), status: "failed", finishReason: "content_filter" },
      ];
      await keeps(store, stored, "optional fields");
      for (const { finishReason, usage } of (await store.listMessages(key("optional fields"))).slice(2, 4)) {
        expectEqual({ finishReason, usage }, {}, "The fields of a message that came without them");
      }
    },
  },
  {
    name: "fields that the store does not know are kept",
    invariant: "whole",
    async body(store) {
      const odd: object = JSON.parse(
        '{"__proto__":{"polluted":true},"constructor":{"prototype":1},"":"","a.b":{"$c":[null]},"10":1,"9":2}',
      );
      const stored = Object.assign(answer("a", "a"), { later: odd, feedback: null, tags: ["x", ["y"], {}], polluted: undefined });
      await keeps(store, [stored], "unknown fields");
      expectEqual(Reflect.get({}, "polluted"), undefined, "A field of every object");
    },
  },
  {
    name: "`createdAt` is kept to the millisecond",
    invariant: "whole",
    async body(store) {
      const times = [0, 1, someTime, 2_147_483_648, 4_294_967_296, 8_640_000_000_000_000];
      await keeps(
        store,
        times.map((createdAt, index) => ({ ...prompt(`m.${index}`), createdAt })),
        "times",
      );
    },
  },
  {
    name: "any text is kept exactly",
    invariant: "whole",
    async body(store) {
      const texts = [...oddTexts, longText];
      await keeps(
        store,
        texts.map((text, index) => prompt(`m.${index}`, text)),
        "odd texts",
      );
      for (const text of texts) {
        const message = { role: "assistant" as const, content: text };
        await store.updateMessage(key("odd texts"), "m.0", { message });
        const [first] = await store.listMessages(key("odd texts"));
        expectEqual(first, { ...prompt("m.0"), message }, "The message after an update");
      }
    },
  },
  {
    name: "NUL and lone surrogates in a text are kept exactly or refused",
    invariant: "whole",
    async body(store) {
      for (const [index, text] of hardTexts.entries()) {
        const thread = key(`thread.${index}`);
        const ids = await store.appendMessages(thread, [prompt("a", text)]).catch(() => undefined);
        expectEqual(await store.listMessages(thread), ids ? [prompt("a", text)] : [], `The thread with ${JSON.stringify(text)}`);
        if (ids) {
          await store.updateMessage(thread, "a", { finishReason: "stop" });
          const updated = [{ ...prompt("a", text), finishReason: "stop" }];
          expectEqual(
            await store.listMessages(thread),
            updated,
            `The thread with ${JSON.stringify(text)} after an update of another field`,
          );
        }

        await store.appendMessages(here, [prompt(`m.${index}`)]);
        const message = { role: "user" as const, content: text };
        const updated = await store.updateMessage(here, `m.${index}`, { message }).catch(() => false);
        const [last] = await store.listMessages(here, { last: 1 });
        expectEqual(last, updated ? prompt(`m.${index}`, text) : prompt(`m.${index}`), `The message updated to ${JSON.stringify(text)}`);
      }
    },
  },
  {
    name: "a message of 1 MB is kept",
    invariant: "whole",
    async body(store) {
      const large = prompt("large", '0123456789 äöü 日本 "quoted" \\ \n'.repeat(24_000)); // 984,000 bytes as JSON
      await keeps(store, [prompt("before"), large, prompt("after")], "a large message");
      await store.appendMessages(here, prompts("a", "b"));
      expectEqual(await store.updateMessage(here, "a", { message: large.message }), true, "What an update to 1 MB resolved to");
      expectEqual(
        await store.listMessages(here),
        [{ ...prompt("a"), message: large.message }, prompt("b")],
        "The thread after an update to 1 MB",
      );
    },
  },
];
