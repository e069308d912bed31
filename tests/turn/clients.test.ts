/** Clients of another kind than the `openai` package: anything whose `create()` gives chunks. */
import { ReadableStream as NodeReadableStream } from "node:stream/web";
import { setTimeout as delay } from "node:timers/promises";
import type { ChatCompletionChunk } from "openai/resources/chat/completions";
import { expect, it } from "vitest";
import type { ModelClient } from "../../src/index.ts";
import { ask, read, startChat } from "../support/chat.ts";
import { watchForFloatingErrors } from "../support/floating.ts";
import { chunk, gate } from "../support/scripts.ts";

watchForFloatingErrors();

const chunks = [chunk({ content: "Hel" }), chunk({ content: "lo." }), chunk({}, "stop")] as ChatCompletionChunk[];
const clientOf = (create: () => unknown): ModelClient => ({
  chat: { completions: { create: create as ModelClient["chat"]["completions"]["create"] } },
});

it.each<[string, () => unknown]>([
  [
    "an async generator",
    async () =>
      (async function* () {
        yield* chunks;
      })(),
  ],
  ["a readable stream of chunks", async () => NodeReadableStream.from(chunks)],
  [
    "an iterator without return()",
    async () => ({
      [Symbol.asyncIterator]: () => {
        const left = [...chunks];
        return { next: async () => ({ done: left.length === 0, value: left.shift() }) };
      },
    }),
  ],
])("gives its answer through %s", async (_, create) => {
  const chat = await startChat({ client: clientOf(create) });
  expect(await read(chat.post(ask("Hi")))).toEqual({ status: 200, text: "Hello.", failed: false });
});

it.each<[string, () => unknown]>([
  [
    "throws at once",
    () => {
      throw new Error("key sk-live-7");
    },
  ],
  ["rejects", () => Promise.reject(new Error("key sk-live-7"))],
  ["gives nothing", () => undefined],
  ["gives a promise of nothing", async () => undefined],
  ["gives no iterable", async () => ({ choices: [] })],
  [
    "gives an iterator that throws",
    async () => ({
      [Symbol.asyncIterator]: () => ({
        next() {
          throw new Error("key sk-live-7");
        },
      }),
    }),
  ],
  [
    "gives an iterator whose return() rejects",
    async () => ({
      [Symbol.asyncIterator]: () => ({ next: async () => ({ done: true }), return: () => Promise.reject(new Error("key sk-live-7")) }),
    }),
  ],
  ["gives a response without body", () => Object.assign(Promise.resolve(), { asResponse: async () => new Response(null) })],
])("fails the turn with 502 when it %s", async (_, create) => {
  const chat = await startChat({ client: clientOf(create) });
  const response = await chat.post(ask("Hi"));
  expect(response.status).toBe(502);
  expect(await response.text()).not.toContain("sk-live-7");
  await chat.settled();
  expect(chat.errors).toMatchObject([{ code: "model_failed" }]);
  expect((await chat.stored()).map(({ id }) => id)).toEqual(["p1"]);
});

it.each<[string, (onLeft: () => void) => unknown]>([
  [
    "an iterable",
    async (onLeft) => ({
      [Symbol.asyncIterator]: () => ({ next: () => new Promise(() => {}), return: async () => (onLeft(), { done: true }) }),
    }),
  ],
  [
    "a response",
    (onLeft) => Object.assign(Promise.resolve(), { asResponse: async () => new Response(new ReadableStream({ cancel: onLeft })) }),
  ],
  [
    "an iterable that comes too late",
    async (onLeft) => {
      await delay(20);
      return { [Symbol.asyncIterator]: () => ({ next: () => new Promise(() => {}), return: async () => (onLeft(), { done: true }) }) };
    },
  ],
])("is left at once although it ignores the signal: %s", async (_, create) => {
  const stop = new AbortController();
  const left = gate();
  const chat = await startChat({ client: clientOf(() => create(left.open)) });
  const response = chat.post(ask("Hi"), { signal: stop.signal });
  await delay(5);
  stop.abort();
  expect((await response).status).toBe(499);
  await chat.settled();
  await left.opened;
});
