/** Disconnects, at every stage of a turn and in every way. */
import { setTimeout as delay } from "node:timers/promises";
import { afterAll, describe, expect, it } from "vitest";
import type { RequestContext } from "../../src/index.ts";
import { chatBody, type Chat, contentOf, summarize, readResponse, startChat } from "../support/chat.ts";
import { expectStoreMatchesResponse, expectRetrySucceeds } from "../support/expectations.ts";
import type { Fault, StoreCall } from "../support/faulty-store.ts";
import { failOnUnhandledErrors } from "../support/unhandled-errors.ts";
import { echoPrompt, createGate, neverAnswer, answerThenStall, textEvent } from "../support/model-scripts.ts";

failOnUnhandledErrors();

const disconnects = [
  { how: "aborts a direct call", leave: "abort", setup: { via: "direct", clientKind: "openai" } },
  { how: "cancels the body of a direct call", leave: "cancel", setup: { via: "direct", clientKind: "openai" } },
  { how: "aborts a direct call to a wrapped client", leave: "abort", setup: { via: "direct", clientKind: "wrapped" } },
  { how: "cancels the body of a direct call to a client that logs", leave: "cancel", setup: { via: "direct", clientKind: "logged" } },
  { how: "aborts its fetch", leave: "abort", setup: { via: "server", clientKind: "openai" } },
  { how: "cancels the body of its fetch", leave: "cancel", setup: { via: "server", clientKind: "openai" } },
] as const;

type Disconnect = (typeof disconnects)[number];

const measured = new Map<string, number[]>();
afterAll(() => {
  const lines = [...measured].map(
    ([name, times]) => `${name}: median ${median(times).toFixed(1)} ms of ${times.map((time) => time.toFixed(1)).join(", ")}`,
  );
  console.info(`From leaving to the close of the model's connection\n  ${lines.join("\n  ")}`);
});

describe.each(disconnects)("a client that $how", (leaving) => {
  const stages = [
    { stage: "before the model's headers", script: neverAnswer, partialText: "", hasResponse: false },
    { stage: "after the model's headers, before any text", script: stallSilently, partialText: "", hasResponse: false },
    { stage: "while the model is idle", script: answerThenStall("Answer ", "to "), partialText: "Answer to ", hasResponse: true },
    { stage: "between tokens", script: keepSending, partialText: "Answer", hasResponse: true },
  ].filter(({ hasResponse }) => hasResponse || leaving.leave === "abort");

  it.each(stages)("closes the model call within 100 ms $stage, and stores the partial answer", async ({ stage, script, partialText }) => {
    const times: number[] = [];
    for (let round = 0; round < 5; round++) {
      const chat = await startChat({ ...leaving.setup, script });
      const client = connect(chat, leaving);
      const call = await chat.model.call(0);
      if (partialText !== "") await client.reads(partialText);
      // The model is in the middle of its answer.
      await delay(5);
      const leftAt = performance.now();
      client.leave();
      times.push((await call.disconnected) - leftAt);
      const seen = await client.seen;
      await chat.waitForTurns();
      const stored = await chat.listStored();
      expect(stored.map(({ id, status }) => `${id} ${status}`)).toEqual(["p1 complete", ...(partialText === "" ? [] : ["r1 stopped"])]);
      expect(contentOf(stored[1]).startsWith(partialText)).toBe(true);
      expect(seen.failed || seen.status !== 200 || leaving.leave === "cancel").toBe(true);
      expect(chat.errors).toEqual([]);
      expect(chat.turnEnds).toMatchObject([{ status: "stopped", error: { code: "client_gone" } }]);
      chat.model.always(echoPrompt);
      await expectRetrySucceeds(chat, client.request, "Answer to Hi.");
    }
    measured.set(`${leaving.how} ${stage}`, times);
    expect(median(times)).toBeLessThan(100);
    expect(Math.max(...times)).toBeLessThan(10_000);
  });

  it.each([
    ["before it is stored", "before"],
    ["after it is stored", "after"],
  ] as const)("stores the whole answer if it disconnects during the commit, %s", async (_, moment) => {
    const chat = await startChat(leaving.setup);
    const held = createGate();
    const reached = blockStoreCall(
      chat,
      ({ method, nth }) => method === "appendMessages" && nth === 1,
      moment === "before" ? { before: held.opened } : { after: held.opened },
    );
    const client = connect(chat, leaving);
    await Promise.all([reached, client.reads("Answer to Hi.")]);
    client.leave();
    const seen = await client.seen;
    expect(seen.failed || leaving.leave === "cancel").toBe(true);
    held.open();
    await chat.waitForTurns();
    expect(summarize(await chat.listStored())).toEqual(['user p1 complete "Hi"', 'assistant r1 complete "Answer to Hi."']);
    await expectRetrySucceeds(chat, client.request, "Answer to Hi.");
    expect(chat.model.calls.length).toBe(1);
  });

  if (leaving.leave === "cancel") return;

  it.each([
    ["while the history is read", ({ method, nth }: StoreCall) => method === "listMessages" && nth === 0],
    ["while the prompt is stored", ({ method, nth }: StoreCall) => method === "appendMessages" && nth === 0],
  ])("stores the prompt and calls no model %s", async (_, isHeld) => {
    const known = waitUntilNoticed();
    const chat = await startChat({ ...leaving.setup, authorize: known.authorize });
    const held = createGate();
    const reached = blockStoreCall(chat, isHeld, { before: held.opened });
    const client = connect(chat, leaving);
    await reached;
    client.leave();
    await Promise.all([client.seen, known.left("p1")]);
    held.open();
    await waitForStoppedTurn(chat);
    expect(summarize(await chat.listStored())).toEqual(['user p1 complete "Hi"']);
    expect(chat.model.calls).toEqual([]);
    await expectRetrySucceeds(chat, client.request, "Answer to Hi.");
  });

  it("in the queue: stores its prompt in order, and calls no model", async () => {
    const known = waitUntilNoticed();
    const chat = await startChat({ ...leaving.setup, authorize: known.authorize });
    const first = createGate();
    chat.model.next(async (call) => {
      await call.send(textEvent("One"));
      await first.opened;
      await echoPrompt(call);
    });
    const one = readResponse(chat.post(chatBody("One", 1)));
    await chat.model.call(0);
    const client = connect(chat, leaving, chatBody("Two", 2));
    await until(() => chat.store.calls.filter(({ method }) => method === "listMessages").length >= 2);
    client.leave();
    await Promise.all([client.seen, known.left("p2")]);
    const three = readResponse(chat.post(chatBody("Three", 3)));
    first.open();
    await Promise.all([one, three]);
    await chat.waitForTurns();
    expect((await chat.listStored()).map(({ id }) => id)).toEqual(["p1", "r1", "p2", "p3", "r3"]);
    expect(chat.model.calls.length).toBe(2);
  });

  it("during authorize: calls no model", async () => {
    const held = createGate();
    const known = waitUntilNoticed();
    const chat = await startChat({
      ...leaving.setup,
      authorize: async (context) => {
        known.authorize(context);
        await held.opened;
        return { owner: "" };
      },
    });
    const client = connect(chat, leaving);
    await known.met("p1");
    client.leave();
    await known.left("p1");
    held.open();
    await client.seen;
    await until(() => chat.store.calls.length >= 2);
    await chat.waitForTurns();
    expect(chat.model.calls).toEqual([]);
    expect(chat.errors).toEqual([]);
    await expectRetrySucceeds(chat, client.request, "Answer to Hi.");
  });
});

it("treats an aborted request as a disconnect", async () => {
  const chat = await startChat();
  const response = await chat.post(chatBody("Hi"), { signal: AbortSignal.abort() }).catch((error: Error) => error);
  await chat.waitForTurns();
  expect(chat.model.calls).toEqual([]);
  expect(response).toBeInstanceOf(Response);
  await expectRetrySucceeds(chat, chatBody("Hi"), "Answer to Hi.");
});

it("does nothing if the client disconnects after the end", async () => {
  const chat = await startChat();
  const controller = new AbortController();
  const seen = await readResponse(chat.post(chatBody("Hi"), { signal: controller.signal }));
  await chat.waitForTurns();
  controller.abort();
  await delay(1);
  await expectStoreMatchesResponse(chat, chatBody("Hi"), seen, { whole: "Answer to Hi." });
  expect(chat.turnEnds.map(({ status }) => status)).toEqual(["complete"]);
});

it("stops reading the body of a disconnected client", async () => {
  const chat = await startChat();
  let controller: ReadableStreamDefaultController<Uint8Array> | undefined;
  const body = new ReadableStream<Uint8Array>({ start: (given) => void (controller = given) });
  const answer = chat.post("", { body, duplex: "half" } as RequestInit);
  controller?.enqueue(new TextEncoder().encode('{"prompt":'));
  controller?.error(new Error("the client reset the connection"));
  expect((await answer).status).toBe(499);
  expect(chat.store.calls).toEqual([]);
  expect(chat.errors).toEqual([]);
});

/** A client in the middle of a request. */
function connect(chat: Chat, { leave }: Disconnect, request = chatBody("Hi")) {
  const controller = new AbortController();
  const decoder = new TextDecoder();
  let body: ReadableStreamDefaultReader<Uint8Array> | undefined;
  let got = "";
  let wake = () => {};
  const seen = (async () => {
    try {
      const response = await chat.post(request, { signal: controller.signal });
      body = response.body?.getReader();
      for (;;) {
        const { done, value } = (await body?.read()) ?? { done: true };
        if (done) return { status: response.status, text: got, failed: false };
        got += decoder.decode(value, { stream: true });
        wake();
      }
    } catch {
      return { status: 200, text: got, failed: true };
    }
  })();
  return {
    request,
    seen,
    reads: async (text: string) => {
      while (!got.startsWith(text)) {
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      }
    },
    leave() {
      if (leave === "abort") controller.abort();
      else void body?.cancel();
    },
  };
}

/** Resolves when the handler has noticed the disconnect, which takes a while over a server. */
function waitUntilNoticed() {
  const signals = new Map<string, AbortSignal>();
  const met = async (promptId: string) => {
    while (!signals.has(promptId)) await delay(1);
  };
  return {
    authorize({ request, prompt }: RequestContext) {
      signals.set(prompt!.id, request.signal);
      return { owner: "" };
    },
    met,
    left: async (promptId: string) => {
      await met(promptId);
      while (!signals.get(promptId)?.aborted) await delay(1);
    },
  };
}

/** Blocks one store call, and resolves when it is reached. */
function blockStoreCall(chat: Chat, isHeld: (call: StoreCall) => boolean, fault: Fault): Promise<void> {
  const reached = createGate();
  chat.store.injectFaults((call) => {
    if (!isHeld(call)) return undefined;
    reached.open();
    return fault;
  });
  return reached.opened;
}

/** Resolves when the disconnected client's turn has ended. Over a server it may not have started yet. */
async function waitForStoppedTurn(chat: Chat): Promise<void> {
  await until(() => chat.turnEnds.length > 0);
  await chat.waitForTurns();
}

async function until(isTrue: () => boolean): Promise<void> {
  while (!isTrue()) await delay(1);
}

async function stallSilently(call: Parameters<typeof neverAnswer>[0]): Promise<void> {
  call.head();
  await call.closed;
}

async function keepSending(call: Parameters<typeof neverAnswer>[0]): Promise<void> {
  let isOver = false;
  void call.closed.then(() => (isOver = true));
  await call.send(textEvent("Answer"));
  while (!isOver) {
    await call.send(textEvent(" and"));
    await delay(2);
  }
}

function median(times: readonly number[]): number {
  return times.toSorted((a, b) => a - b)[times.length >> 1] ?? NaN;
}
