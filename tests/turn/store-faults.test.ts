/** Store faults: in each call of a turn, in every way, over every store. */
import { describe, expect, it } from "vitest";
import { createMemoryStore } from "../../src/index.ts";
import { createTools } from "../../src/tools.ts";
import {
  chatBody,
  type Chat,
  type ChatSetup,
  expectError,
  summarize,
  readResponse,
  rolesOf,
  startChat,
  variants,
} from "../support/chat.ts";
import { countModelCalls, expectStoreMatchesResponse, expectRetrySucceeds, forEachConcurrently } from "../support/expectations.ts";
import { type Fault, faults, type StoreCall, secretStoreError } from "../support/faulty-store.ts";
import { failOnUnhandledErrors } from "../support/unhandled-errors.ts";
import { describeEveryStore } from "../support/stores.ts";
import { echoPrompt, callTools, createGate, answerWith, sendPieces, textEvent } from "../support/model-scripts.ts";

failOnUnhandledErrors();

const takesEffect = (fault: Fault) => fault === "act-reject" || fault === "act-hang";

describeEveryStore(({ name, responseTime, create }) => {
  const start = (setup?: ChatSetup) => startChat({ backingStore: create(), ...setup });
  /** Short timeouts for faults that hang, long ones for all others, because a real database may be slow. */
  const timeoutsFor = (fault: Fault) => (fault === "hang" || fault === "act-hang" ? { store: responseTime } : {});

  describe.each(name === "memory" ? variants : variants.slice(0, 1))("$name", ({ way }) => {
    it.each(faults)("returns 503 without a model call if reading the history fails (%s)", async (fault) => {
      const chat = await start({ ...way, timeouts: timeoutsFor(fault) });
      chat.store.injectFaults(only("listMessages", 0, fault));
      const response = await chat.post(chatBody("Hi"));
      expectNoSecret(JSON.stringify(await expectError(response, 503, "store_failed")));
      await chat.waitForTurns();
      expect(chat.model.calls).toEqual([]);
      expect(await chat.listStored()).toEqual([]);
      expectReported(chat);
      await expectRetrySucceeds(chat, chatBody("Hi"), "Answer to Hi.");
    });

    it.each(faults)("returns 503 without a model call if storing the prompt fails (%s)", async (fault) => {
      const chat = await start({ ...way, timeouts: timeoutsFor(fault) });
      chat.store.injectFaults(only("appendMessages", 0, fault));
      const response = await chat.post(chatBody("Hi"));
      expectNoSecret(JSON.stringify(await expectError(response, 503, "store_failed")));
      await chat.waitForTurns();
      expect(chat.model.calls).toEqual([]);
      expect(summarize(await chat.listStored())).toEqual(takesEffect(fault) ? ['user p1 complete "Hi"'] : []);
      expectReported(chat);
      await expectRetrySucceeds(chat, chatBody("Hi"), "Answer to Hi.");
    });

    it.each(faults)("breaks the stream if storing the answer fails, unless it was stored (%s)", async (fault) => {
      const chat = await start({ ...way, timeouts: timeoutsFor(fault) });
      chat.store.injectFaults(only("appendMessages", 1, fault));
      const seen = await readResponse(chat.post(chatBody("Hi")));
      expect(seen).toMatchObject({ status: 200, failed: !takesEffect(fault) });
      await chat.waitForTurns();
      expectReported(chat);
      // If the store took effect, the answer is complete, although the call failed. Otherwise the text is stored as partial.
      expect(summarize(await chat.listStored())).toEqual([
        'user p1 complete "Hi"',
        `assistant r1 ${takesEffect(fault) ? "complete" : "failed"} "Answer to Hi."`,
      ]);
      await expectStoreMatchesResponse(chat, chatBody("Hi"), seen, { whole: "Answer to Hi." });
      await expectRetrySucceeds(chat, chatBody("Hi"), "Answer to Hi.");
      expect(countModelCalls(chat, chatBody("Hi"))).toBe(takesEffect(fault) ? 1 : 2);
    });

    it.each(faults)("breaks the stream and keeps the prompt if nothing more can be stored (%s)", async (fault) => {
      const chat = await start({ ...way, timeouts: timeoutsFor(fault) });
      chat.store.injectFaults(({ method, nth }) => (method === "appendMessages" && nth > 0 ? fault : undefined));
      const seen = await readResponse(chat.post(chatBody("Hi")));
      expect(seen.failed).toBe(!takesEffect(fault));
      await chat.waitForTurns();
      await expectStoreMatchesResponse(chat, chatBody("Hi"), seen, { whole: "Answer to Hi.", partialMayBeMissing: true });
      chat.store.injectFaults();
      await expectRetrySucceeds(chat, chatBody("Hi"), "Answer to Hi.");
    });

    it("stays correct if a store call takes effect after its timeout", async () => {
      await forEachConcurrently([0, 1, 2], async (number) => {
        const chat = await start({ ...way, timeouts: { store: responseTime } });
        const late = createGate();
        chat.store.injectFaults((call) => (call.number === number ? { before: late.opened } : undefined));
        const seen = await readResponse(chat.post(chatBody("Hi")));
        expect(seen.failed || seen.status === 503).toBe(true);
        await chat.waitForTurns();
        late.open();
        await chat.store.waitForCalls();
        chat.store.injectFaults();
        await expectStoreMatchesResponse(chat, chatBody("Hi"), seen, { whole: "Answer to Hi.", promptMayBeMissing: true });
        await expectRetrySucceeds(chat, chatBody("Hi"), "Answer to Hi.");
      });
    });

    it("does not end the stream before the store has confirmed the answer", async () => {
      const chat = await start(way);
      const held = createGate();
      const reached = createGate();
      chat.store.injectFaults(({ method, nth }) => {
        if (method !== "appendMessages" || nth !== 1) return undefined;
        reached.open();
        return { after: held.opened };
      });
      let hasEnded = false;
      const seen = readResponse(chat.post(chatBody("Hi"))).finally(() => (hasEnded = true));
      await reached.opened;
      await new Promise((resolve) => setTimeout(resolve, 20));
      expect(hasEnded).toBe(false);
      held.open();
      expect(await seen).toEqual({ status: 200, text: "Answer to Hi.", failed: false });
      // C1's client may save form state at once, by the response id.
      expect(
        await chat.backingStore.updateMessage({ owner: "", threadId: "t" }, "r1", { message: { role: "assistant", content: "Form" } }),
      ).toBe(true);
    });
  });

  describe("a retry of a failed answer", () => {
    const request = chatBody("Hi");

    it.each(faults)("stays correct if replacing the partial answer fails (%s)", async (fault) => {
      const chat = await start({ timeouts: timeoutsFor(fault) });
      chat.model.next(sendPieces(textEvent("Half")));
      await readResponse(chat.post(request));
      // After the prompt and the partial answer.
      chat.store.injectFaults(only("appendMessages", 2, fault));
      const seen = await readResponse(chat.post(request));
      expect(seen.failed).toBe(!takesEffect(fault));
      await chat.waitForTurns();
      const [, answer] = await chat.listStored();
      expect(answer?.status).toBe(takesEffect(fault) ? "complete" : "failed");
      await expectStoreMatchesResponse(chat, request, seen, { whole: "Answer to Hi." });
      await expectRetrySucceeds(chat, request, "Answer to Hi.");
    });

    it.each(faults)("stays correct if storing fails (%s) during a retry with tools", async (fault) => {
      const tools = createTools([{ name: "look", run: () => "seen" }]);
      const chat = await start({ tools, timeouts: timeoutsFor(fault) });
      const callsTool = callTools({ id: "c1", name: "look", args: {} });
      chat.model.next(callsTool, sendPieces(textEvent("Half")), callsTool, answerWith("All"));
      await readResponse(chat.post(request));
      await chat.waitForTurns();
      expect(rolesOf(await chat.listStored())).toEqual(["user complete", "assistant failed", "tool failed", "assistant failed"]);
      chat.store.injectFaults(only("appendMessages", 2, fault));
      const seen = await readResponse(chat.post(request));
      expect(seen).toMatchObject({ status: 200, failed: !takesEffect(fault) });
      await chat.waitForTurns();
      if (!takesEffect(fault)) chat.model.next(callsTool, answerWith("All"));
      expect(await readResponse(chat.post(request))).toEqual({ status: 200, text: "All", failed: false });
      await chat.waitForTurns();
      const stored = await chat.listStored();
      expect(rolesOf(stored)).toEqual(["user complete", "assistant complete", "tool complete", "assistant complete"]);
      expect(stored.at(-1)).toMatchObject({ id: "r1", message: { content: "All" } });
    });
  });

  it.each(["before", "after"])(
    "a write after its timeout never replaces a later answer (it takes effect %s that one is stored)",
    async (when) => {
      const chat = await start({ timeouts: { store: responseTime } });
      chat.model.next(sendPieces(textEvent("Half")), sendPieces(textEvent("More")));
      await readResponse(chat.post(chatBody("Hi")));
      // The second attempt's partial answer takes effect after its timeout.
      const late = createGate();
      chat.store.injectFaults(({ method }) => (method === "appendMessages" ? { before: late.opened } : undefined));
      expect((await readResponse(chat.post(chatBody("Hi")))).failed).toBe(true);
      await chat.waitForTurns();
      chat.store.injectFaults();
      if (when === "before") late.open();
      expect(await readResponse(chat.post(chatBody("Hi")))).toEqual({ status: 200, text: "Answer to Hi.", failed: false });
      late.open();
      await chat.waitForTurns();
      await chat.store.waitForCalls();
      expect(summarize(await chat.listStored())).toEqual(['user p1 complete "Hi"', 'assistant r1 complete "Answer to Hi."']);
    },
  );

  it("reports no conflict if the store sent the answer twice and therefore returns no ids", async () => {
    const chat = await start();
    chat.store.injectFaults(({ method, nth }) => (method === "appendMessages" && nth === 1 ? "twice" : undefined));
    expect(await readResponse(chat.post(chatBody("Hi")))).toEqual({ status: 200, text: "Answer to Hi.", failed: false });
    await chat.waitForTurns();
    expect(chat.errors).toEqual([]);
  });

  it.each(faults)("survives that a stopped turn cannot be stored (%s)", async (fault) => {
    const chat = await start({ timeouts: timeoutsFor(fault) });
    const controller = new AbortController();
    chat.model.next(async (call) => {
      await call.send(textEvent("Half"));
      await call.closed;
    });
    chat.store.injectFaults(only("appendMessages", 1, fault));
    const response = await chat.post(chatBody("Hi"), { signal: controller.signal });
    const seen = readResponse(response);
    await new Promise((resolve) => setTimeout(resolve, 5));
    controller.abort();
    expect((await seen).failed).toBe(true);
    await chat.waitForTurns();
    expectReported(chat);
    await expectRetrySucceeds(chat, chatBody("Hi"), "Answer to Hi.");
  });

  it("answers a retry that arrives while the partial answer is being stored", async () => {
    const chat = await start();
    const [held, reached] = [createGate(), createGate()];
    chat.model.next(sendPieces(textEvent("Half")));
    chat.store.injectFaults(({ method, nth }) => {
      if (method !== "appendMessages" || nth !== 1) return undefined;
      reached.open();
      return { before: held.opened };
    });
    const first = readResponse(chat.post(chatBody("Hi")));
    await reached.opened;
    const again = readResponse(chat.post(chatBody("Hi")));
    await new Promise((resolve) => setTimeout(resolve, 10));
    held.open();
    expect((await first).failed).toBe(true);
    expect(await again).toEqual({ status: 200, text: "Answer to Hi.", failed: false });
  });

  it("makes three store calls for a plain turn, and one for a replay", async () => {
    const chat = await start();
    await readResponse(chat.post(chatBody("Hi")));
    await chat.waitForTurns();
    expect(chat.store.calls.map(({ method }) => method)).toEqual(["listMessages", "appendMessages", "appendMessages"]);
    await readResponse(chat.post(chatBody("Hi")));
    await chat.waitForTurns();
    expect(chat.store.calls.map(({ method }) => method).slice(3)).toEqual(["listMessages"]);
  });

  it("restores nothing if the thread is deleted during the answer", async () => {
    const chat = await start();
    const held = createGate();
    chat.model.next(async (call) => {
      await call.send(textEvent("Ans"));
      await held.opened;
      await echoPrompt(call);
    });
    const seen = readResponse(chat.post(chatBody("Hi")));
    await chat.model.call(0);
    await chat.backingStore.deleteThread({ owner: "", threadId: "t" });
    held.open();
    expect((await seen).failed).toBe(true);
    await chat.waitForTurns();
    expect(await chat.listStored()).toEqual([]);
    expect(await chat.backingStore.getThread({ owner: "", threadId: "t" })).toBeUndefined();
    expect(chat.errors).toMatchObject([{ code: "thread_deleted" }]);
  });
});

function only(method: string, nth: number, fault: Fault): (call: StoreCall) => Fault | undefined {
  return (call) => (call.method === method && call.nth === nth ? fault : undefined);
}

function expectNoSecret(text: string): void {
  for (const word of [secretStoreError, "hunter2", "postgres", "10.0.0.7"]) expect(text).not.toContain(word);
}

function expectReported(chat: Chat): void {
  expect(chat.errors).toMatchObject([{ code: "store_failed", status: 503 }]);
  expect(chat.errors[0]?.cause).toBeInstanceOf(Error);
  expectNoSecret(chat.errors[0]?.message ?? "");
}

describe("an invalid store", () => {
  it.each<[method: "listMessages" | "appendMessages", gives: unknown]>([
    ["listMessages", undefined],
    ["listMessages", { rows: [] }],
    ["appendMessages", undefined],
    ["appendMessages", 1],
    ["appendMessages", true],
  ])("is named if its %s() returns %j", async (method, gives) => {
    const chat = await startChat({ store: { ...createMemoryStore(), [method]: async () => gives } });
    await expectError(await chat.post(chatBody("Hi")), 503, "store_failed");
    expect(chat.errors[0]?.cause).toMatchObject({ message: `${method}() must resolve to an array. Check your store's implementation.` });
  });

  it("never causes a clean end by emptying its arguments", async () => {
    const backingStore = createMemoryStore();
    let appends = 0;
    const appendMessages: typeof backingStore.appendMessages = async (thread, messages, options) => {
      if (appends++ === 0) return backingStore.appendMessages(thread, messages, options);
      (messages as unknown[]).length = 0;
      return [];
    };
    const chat = await startChat({ store: { ...backingStore, appendMessages } });
    expect((await readResponse(chat.post(chatBody("Hi")))).failed).toBe(true);
  });
});
