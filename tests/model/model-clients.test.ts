/** Model clients other than the `openai` package: any object whose `create()` returns chunks. */
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
const createClient = (create: () => unknown): ModelClient => ({
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
    "an iterator whose next() returns no promise",
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
])("can return %s", async (_, create) => {
  const chat = await startChat({ client: createClient(create) });
  expect(await readResponse(chat.post(chatBody("Hi")))).toEqual({ status: 200, text: "Hello.", failed: false });
});

it.each([500, 200])(
  "leaves no unhandled rejection of a tracing wrapper when the client disconnects or the provider returns %d",
  async (status) => {
    // Like the wrapper of Sentry: a span awaits the call, too, beside the raw response.
    const chat = await startChat({ clientKind: "traced" });
    if (status === 500) chat.model.next(rejectWith(500, { error: { message: "no" } }));
    else chat.model.next(neverAnswer);
    const stop = new AbortController();
    const response = chat.post(chatBody("Hi"), { signal: stop.signal });
    await chat.model.call(0);
    if (status === 200) stop.abort();
    expect((await response).status).toBe(status === 500 ? 502 : 499);
    expect((await readResponse(chat.post(chatBody("Hi")))).text).toBe("Answer to Hi.");
  },
);

it.each<[string, () => unknown]>([
  [
    "throws at once",
    () => {
      throw new Error("key sk-live-7");
    },
  ],
  ["rejects", () => Promise.reject(new Error("key sk-live-7"))],
  ["returns undefined", () => undefined],
  ["returns a promise of undefined", async () => undefined],
  ["returns a value that is not iterable", async () => ({ choices: [] })],
  [
    "returns an iterator that throws",
    async () => ({
      [Symbol.asyncIterator]: () => ({
        next() {
          throw new Error("key sk-live-7");
        },
      }),
    }),
  ],
  [
    "returns an iterator whose return() rejects",
    async () => ({
      [Symbol.asyncIterator]: () => ({ next: async () => ({ done: true }), return: () => Promise.reject(new Error("key sk-live-7")) }),
    }),
  ],
  ["returns a response without a body", () => Object.assign(Promise.resolve(), { asResponse: async () => new Response(null) })],
])("fails the turn with 502 when it %s", async (_, create) => {
  const chat = await startChat({ client: createClient(create) });
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
    "a response that arrives too late",
    (onLeft) =>
      Object.assign(Promise.resolve(), {
        asResponse: async () => {
          await delay(20);
          return new Response(new ReadableStream({ cancel: onLeft }));
        },
      }),
  ],
  [
    "an iterable that arrives too late",
    async (onLeft) => {
      await delay(20);
      return { [Symbol.asyncIterator]: () => ({ next: () => new Promise(() => {}), return: async () => (onLeft(), { done: true }) }) };
    },
  ],
])("that ignores the signal does not delay a disconnect: %s", async (_, create) => {
  const stop = new AbortController();
  const left = createGate();
  const chat = await startChat({ client: createClient(() => create(left.open)) });
  const response = chat.post(chatBody("Hi"), { signal: stop.signal });
  await delay(5);
  stop.abort();
  expect((await response).status).toBe(499);
  await chat.waitForTurns();
  await left.opened;
});

it.each([undefined, null, { "retry-after": "7" }, new Map([["Retry-After", "7"]])])(
  "returns 429 for a client's 429, with any kind of headers: %s",
  async (headers) => {
    const chat = await startChat({
      client: createClient(() => Promise.reject(Object.assign(new Error("slow down"), { status: 429, headers }))),
    });
    const response = await chat.post(chatBody("Hi"));
    expect([response.status, response.headers.get("Retry-After")]).toEqual([429, headers instanceof Map ? "7" : null]);
  },
);

it("may return a large answer in one read", async () => {
  const padded = [...Array.from({ length: 2_000 }, () => ({ ...chunks[0], padding: "x".repeat(1_000) })), chunks[2]];
  const asResponse = async () => new Response(padded.map(toEvent).join(""));
  const chat = await startChat({ client: createClient(() => ({ asResponse })) });
  expect(await readResponse(chat.post(chatBody("Hi")))).toEqual({ status: 200, text: "Hel".repeat(2_000), failed: false });
});

it("ends the turn if the response arrives while the client disconnects", async () => {
  const stop = new AbortController();
  const { promise: arrives, resolve: arrive } = Promise.withResolvers<Response>();
  const chat = await startChat({ client: createClient(() => Object.assign(Promise.resolve(), { asResponse: () => arrives })) });
  const response = chat.post(chatBody("Hi"), { signal: stop.signal });
  await delay(20);
  arrive(new Response(new ReadableStream()));
  stop.abort();
  expect((await response).status).toBe(499);
  await chat.waitForTurns();
});

it("stores the text that arrives while the client disconnects", async () => {
  const stop = new AbortController();
  const pendingReads: ((read: unknown) => void)[] = [];
  const next = () => new Promise((resolve) => pendingReads.push(resolve));
  const chat = await startChat({ client: createClient(async () => ({ [Symbol.asyncIterator]: () => ({ next }) })) });
  const response = chat.post(chatBody("Hi"), { signal: stop.signal });
  await delay(20);
  pendingReads[0]?.({ done: false, value: chunks[0] });
  stop.abort();
  expect((await response).status).toBe(499);
  await chat.waitForTurns();
  expect((await chat.listStored())[1]).toMatchObject({ status: "stopped", message: { content: "Hel" } });
});

it("ignores an invalid response that arrives too late", async () => {
  const stop = new AbortController();
  const { promise, resolve: swallowTheAbort } = Promise.withResolvers<void>();
  const chat = await startChat({ client: createClient(() => promise) });
  const response = chat.post(chatBody("Hi"), { signal: stop.signal });
  await delay(20);
  stop.abort();
  expect((await response).status).toBe(499);
  await chat.waitForTurns();
  swallowTheAbort();
  await delay(20);
});

it("is called once if its promise is lazy", async () => {
  let calls = 0;
  const lazy = new Proxy(Promise.resolve(NodeReadableStream.from(chunks)), {
    get(promise, name) {
      if (name === "then") calls++;
      return name === "then" ? promise.then.bind(promise) : undefined;
    },
    getPrototypeOf: () => Object.prototype,
  });
  const chat = await startChat({ client: createClient(() => lazy) });
  expect((await readResponse(chat.post(chatBody("Hi")))).text).toBe("Hello.");
  expect(calls).toBe(1);
});

it.each(Array.from({ length: 16 }, (_, ticks) => ticks))(
  "closes a call that answers %i microtasks before its client disconnects",
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
    const chat = await startChat({ client: createClient(() => ({ asResponse })) });
    await chat.post(chatBody("Hi"), { signal: leaver.signal });
    await chat.waitForTurns();
    expect(isLetGo).toBe(true);
  },
);

it("may fail on an abort after its finish reason: the answer is complete", async () => {
  let left = 3;
  const create = async (_: unknown, { signal }: { signal: AbortSignal }) => ({
    [Symbol.asyncIterator]: () => ({
      next: () =>
        left > 0
          ? Promise.resolve({ done: false, value: chunks[3 - left--] })
          : new Promise((_, reject) => signal.addEventListener("abort", () => reject(new Error("Aborted.")))),
    }),
  });
  const chat = await startChat({ client: createClient(create as () => unknown) });
  expect(await readResponse(chat.post(chatBody("Hi")))).toEqual({ status: 200, text: "Hello.", failed: false });
});

it.each<[string, (deltas: readonly unknown[]) => unknown]>([
  ["an iterable", async (deltas) => NodeReadableStream.from(deltas)],
  ["a response", (deltas) => Object.assign(Promise.resolve(), { asResponse: async () => new Response(deltas.map(toEvent).join("")) })],
])("is not aborted after all of %s was read", async (_, create) => {
  const signals: AbortSignal[] = [];
  const chat = await startChat({
    client: createClient(((_: unknown, { signal }: { signal: AbortSignal }) => (signals.push(signal), create(chunks))) as () => unknown),
  });
  expect((await readResponse(chat.post(chatBody("Hi")))).text).toBe("Hello.");
  await chat.waitForTurns();
  await delay(20);
  expect(signals.map(({ aborted }) => aborted)).toEqual([false]);
});

it("that hangs does not delay a turn timeout during backpressure", async () => {
  const left = Array.from({ length: 4 }, () => chunk({ content: "x".repeat(20_000) }));
  const next = () => (left.length > 0 ? { done: false, value: left.shift() } : new Promise(() => {}));
  const chat = await startChat({
    client: createClient(async () => ({ [Symbol.asyncIterator]: () => ({ next }) })),
    timeouts: { turn: 300 },
  });
  await chat.post(chatBody("Hi"));
  await chat.waitForTurns();
  expect(chat.errors).toMatchObject([{ code: "turn_timeout" }]);
  expect(await chat.listStored()).toMatchObject([{ id: "p1" }, { status: "failed", message: { content: "x".repeat(80_000) } }]);
});

it("that hangs does not delay a disconnect during backpressure", async () => {
  async function* speak() {
    for (let sent = 0; sent < 1_000; sent++) yield chunk({ content: "x".repeat(1_000) }) as ChatCompletionChunk;
    await new Promise(() => {});
  }
  const chat = await startChat({ client: createClient(async () => speak()) });
  const response = await chat.post(chatBody("Hi"));
  await delay(50);
  await response.body?.cancel();
  await chat.waitForTurns();
  expect((await chat.listStored())[1]?.status).toBe("stopped");
});
