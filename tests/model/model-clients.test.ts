/** Clients of another kind than the `openai` package: anything whose `create()` gives chunks. */
import { ReadableStream as NodeReadableStream } from "node:stream/web";
import { setTimeout as delay } from "node:timers/promises";
import type { ChatCompletionChunk } from "openai/resources/chat/completions";
import { expect, it } from "vitest";
import type { ModelClient } from "../../src/index.ts";
import { chatBody, readResponse, startChat } from "../support/chat.ts";
import { failOnUnhandledErrors } from "../support/unhandled-errors.ts";
import { chunk, toEvent, createGate, neverAnswer, rejectWith } from "../support/model-scripts.ts";

failOnUnhandledErrors();

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
    "an iterator whose next() gives no promise",
    async () => ({
      [Symbol.asyncIterator]: () => {
        const left = [...chunks];
        return { next: () => ({ done: left.length === 0, value: left.shift() }) };
      },
    }),
  ],
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
  expect(await readResponse(chat.post(chatBody("Hi")))).toEqual({ status: 200, text: "Hello.", failed: false });
});

it.each([500, 200])("leaves no promise of a tracing wrapper floating when the client leaves or the provider answers %d", async (status) => {
  // As the wrappers of Sentry and others: a span of its own awaits the call, beside whoever asks for the raw response.
  const chat = await startChat({ clientKind: "traced" });
  if (status === 500) chat.model.next(rejectWith(500, { error: { message: "no" } }));
  else chat.model.next(neverAnswer);
  const stop = new AbortController();
  const response = chat.post(chatBody("Hi"), { signal: stop.signal });
  await chat.model.call(0);
  if (status === 200) stop.abort();
  expect((await response).status).toBe(status === 500 ? 502 : 499);
  expect((await readResponse(chat.post(chatBody("Hi")))).text).toBe("Answer to Hi.");
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
  const response = await chat.post(chatBody("Hi"));
  expect(response.status).toBe(502);
  expect(await response.text()).not.toContain("sk-live-7");
  await chat.waitForTurns();
  expect(chat.errors).toMatchObject([{ code: "model_failed" }]);
  expect((await chat.listStored()).map(({ id }) => id)).toEqual(["p1"]);
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
    "a response that comes too late",
    (onLeft) =>
      Object.assign(Promise.resolve(), {
        asResponse: async () => {
          await delay(20);
          return new Response(new ReadableStream({ cancel: onLeft }));
        },
      }),
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
  const left = createGate();
  const chat = await startChat({ client: clientOf(() => create(left.open)) });
  const response = chat.post(chatBody("Hi"), { signal: stop.signal });
  await delay(5);
  stop.abort();
  expect((await response).status).toBe(499);
  await chat.waitForTurns();
  await left.opened;
});

it.each([undefined, null, { "retry-after": "7" }, new Map([["Retry-After", "7"]])])(
  "answers 429 to a client that was told so, whatever it has for headers: %s",
  async (headers) => {
    const chat = await startChat({
      client: clientOf(() => Promise.reject(Object.assign(new Error("slow down"), { status: 429, headers }))),
    });
    const response = await chat.post(chatBody("Hi"));
    expect([response.status, response.headers.get("Retry-After")]).toEqual([429, headers instanceof Map ? "7" : null]);
  },
);

it("gives an answer that comes all in one read, however much that is", async () => {
  const padded = [...Array.from({ length: 2_000 }, () => ({ ...chunks[0], padding: "x".repeat(1_000) })), chunks[2]];
  const asResponse = async () => new Response(padded.map(toEvent).join(""));
  const chat = await startChat({ client: clientOf(() => ({ asResponse })) });
  expect(await readResponse(chat.post(chatBody("Hi")))).toEqual({ status: 200, text: "Hel".repeat(2_000), failed: false });
});

it("ends the turn where the response comes in the moment the client leaves", async () => {
  const stop = new AbortController();
  const { promise: arrives, resolve: arrive } = Promise.withResolvers<Response>();
  const chat = await startChat({ client: clientOf(() => Object.assign(Promise.resolve(), { asResponse: () => arrives })) });
  const response = chat.post(chatBody("Hi"), { signal: stop.signal });
  await delay(20);
  arrive(new Response(new ReadableStream()));
  stop.abort();
  expect((await response).status).toBe(499);
  await chat.waitForTurns();
});

it("keeps what the model said in the very moment the client left", async () => {
  const stop = new AbortController();
  const said: ((read: unknown) => void)[] = [];
  const next = () => new Promise((resolve) => said.push(resolve));
  const chat = await startChat({ client: clientOf(async () => ({ [Symbol.asyncIterator]: () => ({ next }) })) });
  const response = chat.post(chatBody("Hi"), { signal: stop.signal });
  await delay(20);
  said[0]?.({ done: false, value: chunks[0] });
  stop.abort();
  expect((await response).status).toBe(499);
  await chat.waitForTurns();
  expect((await chat.listStored())[1]).toMatchObject({ status: "stopped", message: { content: "Hel" } });
});

it("takes no harm from what is no answer and comes too late", async () => {
  const stop = new AbortController();
  const { promise, resolve: swallowTheAbort } = Promise.withResolvers<void>();
  const chat = await startChat({ client: clientOf(() => promise) });
  const response = chat.post(chatBody("Hi"), { signal: stop.signal });
  await delay(20);
  stop.abort();
  expect((await response).status).toBe(499);
  await chat.waitForTurns();
  swallowTheAbort();
  await delay(20);
});

it("is called once where what it gives calls the model only when it is waited for", async () => {
  let calls = 0;
  const lazy = new Proxy(Promise.resolve(NodeReadableStream.from(chunks)), {
    get(promise, name) {
      if (name === "then") calls++;
      return name === "then" ? promise.then.bind(promise) : undefined;
    },
    getPrototypeOf: () => Object.prototype,
  });
  const chat = await startChat({ client: clientOf(() => lazy) });
  expect((await readResponse(chat.post(chatBody("Hi")))).text).toBe("Hello.");
  expect(calls).toBe(1);
});

it.each(Array.from({ length: 16 }, (_, ticks) => ticks))(
  "lets go of a model that answers %i microtasks before its client leaves",
  async (ticks) => {
    let isLetGo = false;
    const leaver = new AbortController();
    const body = new ReadableStream({ cancel: () => void (isLetGo = true) });
    const asResponse = async () => {
      void (async () => {
        for (let tick = 0; tick < ticks; tick++) await Promise.resolve();
        leaver.abort();
      })();
      return new Response(body);
    };
    const chat = await startChat({ client: clientOf(() => ({ asResponse })) });
    await chat.post(chatBody("Hi"), { signal: leaver.signal });
    await chat.waitForTurns();
    expect(isLetGo).toBe(true);
  },
);

it("has given a whole answer where it fails on being aborted after its finish reason", async () => {
  let left = 3;
  const create = async (_: unknown, { signal }: { signal: AbortSignal }) => ({
    [Symbol.asyncIterator]: () => ({
      next: () =>
        left > 0
          ? Promise.resolve({ done: false, value: chunks[3 - left--] })
          : new Promise((_, reject) => signal.addEventListener("abort", () => reject(new Error("Aborted.")))),
    }),
  });
  const chat = await startChat({ client: clientOf(create as () => unknown) });
  expect(await readResponse(chat.post(chatBody("Hi")))).toEqual({ status: 200, text: "Hello.", failed: false });
});

it.each<[string, (said: readonly unknown[]) => unknown]>([
  ["an iterable", async (said) => NodeReadableStream.from(said)],
  ["a response", (said) => Object.assign(Promise.resolve(), { asResponse: async () => new Response(said.map(toEvent).join("")) })],
])("hears of no abort once it has given all of %s", async (_, create) => {
  const signals: AbortSignal[] = [];
  const chat = await startChat({
    client: clientOf(((_: unknown, { signal }: { signal: AbortSignal }) => (signals.push(signal), create(chunks))) as () => unknown),
  });
  expect((await readResponse(chat.post(chatBody("Hi")))).text).toBe("Hello.");
  await chat.waitForTurns();
  await delay(20);
  expect(signals.map(({ aborted }) => aborted)).toEqual([false]);
});

it("is not waited for, however it hangs, when the turn has taken too long while the model is held back", async () => {
  const left = Array.from({ length: 4 }, () => chunk({ content: "x".repeat(20_000) }));
  const next = () => (left.length > 0 ? { done: false, value: left.shift() } : new Promise(() => {}));
  const chat = await startChat({ client: clientOf(async () => ({ [Symbol.asyncIterator]: () => ({ next }) })), timeouts: { turn: 300 } });
  await chat.post(chatBody("Hi"));
  await chat.waitForTurns();
  expect(chat.errors).toMatchObject([{ code: "turn_timeout" }]);
  expect(await chat.listStored()).toMatchObject([{ id: "p1" }, { status: "failed", message: { content: "x".repeat(80_000) } }]);
});

it("is not waited for, however it hangs, when the client leaves while the model is held back", async () => {
  async function* speak() {
    for (let said = 0; said < 1_000; said++) yield chunk({ content: "x".repeat(1_000) }) as ChatCompletionChunk;
    await new Promise(() => {});
  }
  const chat = await startChat({ client: clientOf(async () => speak()) });
  const response = await chat.post(chatBody("Hi"));
  await delay(50);
  await response.body?.cancel();
  await chat.waitForTurns();
  expect((await chat.listStored())[1]?.status).toBe("stopped");
});
