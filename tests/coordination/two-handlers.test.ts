/** Two handlers on one store: in one process, and without shared memory, as in two processes. */
import { expect, it } from "vitest";
import { chatBody, summarize, readResponse, startChat } from "../support/chat.ts";
import { createFaultyStore } from "../support/faulty-store.ts";
import { failOnUnhandledErrors } from "../support/unhandled-errors.ts";
import { describeEveryStore } from "../support/stores.ts";
import { echoPrompt, createGate, answerAfter, sendPieces, textEvent } from "../support/model-scripts.ts";

failOnUnhandledErrors();

describeEveryStore(({ create }) => {
  it("share one queue on one store object", async () => {
    const one = await startChat({ backingStore: create(), script: echoPrompt });
    const two = await startChat({ store: one.store });
    await Promise.all(Array.from({ length: 10 }, async (_, n) => readResponse((n % 2 ? one : two).post(chatBody(`Prompt ${n}`, n)))));
    await Promise.all([one.waitForTurns(), two.waitForTurns()]);
    const ids = (await one.listStored()).map(({ id }) => id);
    expect(ids).toEqual(Array.from({ length: 10 }, (_, n) => [`p${n}`, `r${n}`]).flat());
  });

  it("keep batches and histories valid without shared memory", async () => {
    const one = await startChat({ backingStore: create() });
    // Another object over the same data, so the handlers cannot know that it is the same store.
    const two = await startChat({ store: { ...one.store } });
    await Promise.all(Array.from({ length: 10 }, async (_, n) => readResponse((n % 2 ? one : two).post(chatBody(`Prompt ${n}`, n)))));
    await Promise.all([one.waitForTurns(), two.waitForTurns()]);
    const stored = await one.listStored();
    expect(stored.map(({ id }) => id).toSorted()).toEqual(
      Array.from({ length: 10 }, (_, n) => [`p${n}`, `r${n}`])
        .flat()
        .toSorted(),
    );
    expect((await readResponse(one.post(chatBody("After", 99)))).text).toBe("Answer to After.");
    // The model receives each answer after its prompt, wherever it is stored.
    const contents = one.model.calls.at(-1)?.body.messages.map(({ content }) => JSON.stringify(content)) ?? [];
    for (let place = 0; place + 1 < contents.length; place += 2)
      expect(contents[place + 1]).toBe(contents[place]?.replace(/"(.*)"/, '"Answer to $1."'));
  });

  it("store one answer for the same ids", async () => {
    const end = createGate();
    const one = await startChat({ backingStore: create(), script: answerAfter([end.opened, "From one"]) });
    const two = await startChat({ store: { ...one.store }, script: answerAfter([end.opened, "From two"]) });
    const seen = [readResponse(one.post(chatBody("Hi"))), readResponse(two.post(chatBody("Hi")))];
    await Promise.all([one.model.call(0), two.model.call(0)]);
    end.open();
    const clean = (await Promise.all(seen)).filter(({ failed }) => !failed);
    await Promise.all([one.waitForTurns(), two.waitForTurns()]);
    const stored = await one.listStored();
    expect(stored.map(({ id, status }) => `${id} ${status}`)).toEqual(["p1 complete", "r1 complete"]);
    expect(clean.map(({ text }) => text)).toEqual([stored[1]?.message.content]);
    expect((await readResponse(two.post(chatBody("Hi")))).text).toBe(stored[1]?.message.content);
  });

  it("store one answer for the same ids if both retry a broken one", async () => {
    const [first, second] = [createGate(), createGate()];
    const one = await startChat({ backingStore: create(), script: answerAfter([first.opened, "From one"]) });
    one.model.next(sendPieces(textEvent("Half")));
    await readResponse(one.post(chatBody("Hi")));
    const two = await startChat({ store: { ...one.store }, script: answerAfter([second.opened, "From two"]) });
    const seen = [readResponse(one.post(chatBody("Hi"))), readResponse(two.post(chatBody("Hi")))];
    await Promise.all([one.model.call(1), two.model.call(0)]);
    first.open();
    expect(await seen[0]).toEqual({ status: 200, text: "From one", failed: false });
    second.open();
    expect((await seen[1])?.failed).toBe(true);
    await Promise.all([one.waitForTurns(), two.waitForTurns()]);
    expect(summarize(await one.listStored())).toEqual(['user p1 complete "Hi"', 'assistant r1 complete "From one"']);
  });

  it("never end an answer cleanly that is not the stored one", async () => {
    const end = createGate();
    const one = await startChat({ backingStore: create(), script: answerAfter([end.opened, "From one"]) });
    const late = createFaultyStore(one.backingStore);
    const two = await startChat({ store: late, script: answerAfter([end.opened, "From two"]) });
    const isStored = createGate();
    late.injectFaults(({ method, nth }) =>
      method === "appendMessages" && nth === 1 ? { before: isStored.opened.then(() => Promise.reject(new Error("lost"))) } : undefined,
    );
    const seen = [readResponse(one.post(chatBody("Hi"))), readResponse(two.post(chatBody("Hi")))];
    await Promise.all([one.model.call(0), two.model.call(0)]);
    end.open();
    expect(await seen[0]).toEqual({ status: 200, text: "From one", failed: false });
    isStored.open();
    expect((await seen[1])?.failed).toBe(true);
    await Promise.all([one.waitForTurns(), two.waitForTurns()]);
    expect(summarize(await one.listStored())).toEqual(['user p1 complete "Hi"', 'assistant r1 complete "From one"']);
  });
});
