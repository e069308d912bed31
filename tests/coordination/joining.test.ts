/** The same request several times: one model call, and every client receives the whole answer. */
import { setTimeout as delay } from "node:timers/promises";
import { describe, expect, it } from "vitest";
import { chatBody, expectError, summarize, readResponse, startChat, variants } from "../support/chat.ts";
import { failOnUnhandledErrors } from "../support/unhandled-errors.ts";
import {
  doneEvent,
  finishEvent,
  createGate,
  answerWith,
  answerAfter,
  sendPieces,
  answerThenStall,
  textEvent,
} from "../support/model-scripts.ts";

failOnUnhandledErrors();

const whole = "Größe 😀, all of it.";
const stored = ['user p1 complete "Hi"', `assistant r1 complete ${JSON.stringify(whole)}`];

describe.each(variants)("$name", ({ way }) => {
  it("answers two simultaneous requests with one model call", async () => {
    const chat = await startChat({ ...way, script: answerWith("Größe", " 😀,", " all of it.") });
    const both = await Promise.all([readResponse(chat.post(chatBody("Hi"))), readResponse(chat.post(chatBody("Hi")))]);
    const seen = { status: 200, text: whole, failed: false };
    expect(both).toEqual([seen, seen]);
    await chat.waitForTurns();
    expect(chat.model.calls.length).toBe(1);
    expect(summarize(await chat.listStored())).toEqual(stored);
    expect(chat.turnEnds.length).toBe(1);
  });

  it("sends a late reader the answer from the beginning", async () => {
    const [middle, end] = [createGate(), createGate()];
    const chat = await startChat({
      ...way,
      script: answerAfter([Promise.resolve(), "Größe"], [middle.opened, " 😀,"], [end.opened, " all of it."]),
    });
    const first = bytesOf(chat.post(chatBody("Hi")));
    await chat.model.call(0);
    const second = await chat.post(chatBody("Hi"));
    middle.open();
    const third = await chat.post(chatBody("Hi"));
    end.open();
    const all = await Promise.all([first, bytesOf(second), bytesOf(third)]);
    const expected = Buffer.from(whole).toString("hex");
    expect(all).toEqual([expected, expected, expected]);
    expect(chat.model.calls.length).toBe(1);
  });

  it("replays a complete answer byte for byte without a model call", async () => {
    const chat = await startChat({ ...way, script: answerWith("Größe", " 😀,", " all of it.") });
    const first = await bytesOf(chat.post(chatBody("Hi")));
    expect([await bytesOf(chat.post(chatBody("Hi"))), await bytesOf(chat.post(chatBody("Hi")))]).toEqual([first, first]);
    await chat.waitForTurns();
    expect(chat.model.calls.length).toBe(1);
    expect(summarize(await chat.listStored())).toEqual(stored);
    expect(chat.turnEnds.length).toBe(1);
  });

  it("replays an answer whose prompt was deleted, and does not store the prompt again", async () => {
    const chat = await startChat(way);
    const first = await bytesOf(chat.post(chatBody("Hi")));
    await chat.backingStore.deleteMessages({ owner: "", threadId: "t" }, ["p1"]);
    expect(await bytesOf(chat.post(chatBody("Hi")))).toEqual(first);
    await chat.waitForTurns();
    expect((await chat.listStored()).map(({ id }) => id)).toEqual(["r1"]);
  });

  it("replays an answer longer than one write, byte for byte", async () => {
    const long = "Größe 😀 ".repeat(30_000);
    const chat = await startChat({ ...way, script: sendPieces(...chunksOf(long, 10_000).map(textEvent), finishEvent(), doneEvent) });
    const first = await readResponse(chat.post(chatBody("Hi")));
    expect(first.text === long && !first.failed).toBe(true);
    const again = await readResponse(chat.post(chatBody("Hi")));
    expect(again.text === long && !again.failed).toBe(true);
  });

  it("continues for the others when one client disconnects, the first or a later one", async () => {
    const end = createGate();
    const chat = await startChat({ ...way, script: answerAfter([Promise.resolve(), "Größe"], [end.opened, " 😀, all of it."]) });
    const leaver = new AbortController();
    const lateLeaver = new AbortController();
    const first = chat
      .post(chatBody("Hi"), { signal: leaver.signal })
      .then(readResponse)
      .catch(() => undefined);
    await chat.model.call(0);
    const second = await chat.post(chatBody("Hi"));
    const third = chat
      .post(chatBody("Hi"), { signal: lateLeaver.signal })
      .then(readResponse)
      .catch(() => undefined);
    await delay(5);
    leaver.abort();
    lateLeaver.abort();
    await Promise.all([first, third]);
    await delay(5);
    expect(chat.model.calls[0]?.disconnectedAt).toBeUndefined();
    end.open();
    expect(await readResponse(second)).toEqual({ status: 200, text: whole, failed: false });
    await chat.waitForTurns();
    expect(summarize(await chat.listStored())).toEqual(stored);
  });

  it("aborts the model call when the last client disconnects", async () => {
    const chat = await startChat({ ...way, script: answerThenStall("Größe") });
    const [one, two] = [new AbortController(), new AbortController()];
    const responses = await Promise.all([one, two].map(({ signal }) => chat.post(chatBody("Hi"), { signal })));
    const seen = responses.map(readResponse);
    const call = await chat.model.call(0);
    one.abort();
    await delay(10);
    expect(call.disconnectedAt).toBeUndefined();
    two.abort();
    await call.disconnected;
    await Promise.all(seen);
    await chat.waitForTurns();
    expect((await chat.listStored()).map(({ id, status }) => `${id} ${status}`)).toEqual(["p1 complete", "r1 stopped"]);
  });

  it("breaks the stream of every client if the answer breaks", async () => {
    const end = createGate();
    const chat = await startChat({ ...way });
    chat.model.next(async (call) => {
      await call.send(textEvent("Half"));
      await end.opened;
      call.cut();
    });
    const first = await chat.post(chatBody("Hi"));
    const second = await chat.post(chatBody("Hi"));
    const seen = [readResponse(first), readResponse(second)];
    end.open();
    for (const { failed } of await Promise.all(seen)) expect(failed).toBe(true);
    await chat.waitForTurns();
    expect(chat.errors.length).toBe(1);
  });

  it("replaces a broken answer, with one model call for two requests", async () => {
    const chat = await startChat(way);
    chat.model.next(sendPieces(textEvent("Half")));
    expect((await readResponse(chat.post(chatBody("Hi")))).failed).toBe(true);
    const both = await Promise.all([readResponse(chat.post(chatBody("Hi"))), readResponse(chat.post(chatBody("Hi")))]);
    const seen = { status: 200, text: "Answer to Hi.", failed: false };
    expect(both).toEqual([seen, seen]);
    expect(chat.model.calls.length).toBe(2);
  });
});

it("replaces a broken answer under another response id", async () => {
  const chat = await startChat();
  chat.model.next(sendPieces(textEvent("Half")));
  await readResponse(chat.post(chatBody("Hi")));
  expect((await readResponse(chat.post({ ...chatBody("Hi"), responseId: "r9" }))).text).toBe("Answer to Hi.");
  await chat.waitForTurns();
  expect(summarize(await chat.listStored())).toEqual(['user p1 complete "Hi"', 'assistant r9 complete "Answer to Hi."']);
});

describe("an id that was used before", () => {
  it.each([
    [
      "the response id of another prompt",
      { prompt: { id: "p9", role: "user", content: "Hi" }, threadId: "t", responseId: "r1" },
      "responseId",
    ],
    [
      "the prompt id with different content",
      { prompt: { id: "p1", role: "user", content: "Other" }, threadId: "t", responseId: "r1" },
      "prompt.id",
    ],
    [
      "the prompt id with another response id",
      { prompt: { id: "p1", role: "user", content: "Hi" }, threadId: "t", responseId: "r9" },
      "prompt.id",
    ],
    ["a prompt id as response id", { prompt: { id: "p9", role: "user", content: "Hi" }, threadId: "t", responseId: "p1" }, "responseId"],
    [
      "a response id as prompt id, with the answer as content",
      { prompt: { id: "r1", role: "user", content: "Answer to Hi." }, threadId: "t", responseId: "r9" },
      "prompt.id",
    ],
    ["a response id as prompt id", { prompt: { id: "r1", role: "user", content: "Hi" }, threadId: "t", responseId: "r9" }, "prompt.id"],
  ])("is rejected with 409: %s", async (_, request, param) => {
    const chat = await startChat();
    await readResponse(chat.post(chatBody("Hi")));
    const before = await chat.listStored();
    const error = await expectError(await chat.post(request), 409, "id_conflict");
    expect(error.param).toBe(param);
    await chat.waitForTurns();
    expect(await chat.listStored()).toEqual(before);
    expect(chat.model.calls.length).toBe(1);
  });

  it("is rejected with 409 while the answer is running", async () => {
    const end = createGate();
    const chat = await startChat({ script: answerAfter([Promise.resolve(), "Gr"], [end.opened, "."]) });
    const first = await chat.post(chatBody("Hi"));
    for (const prompt of [
      { id: "p9", role: "user", content: "Hi" },
      { id: "p1", role: "user", content: "Other" },
    ]) {
      await expectError(await chat.post({ ...chatBody("Hi"), prompt }), 409, "id_conflict");
    }
    end.open();
    expect((await readResponse(first)).failed).toBe(false);
  });

  it("is free in another thread", async () => {
    const chat = await startChat();
    await readResponse(chat.post(chatBody("Hi", 1, "a")));
    expect(await readResponse(chat.post(chatBody("Other", 1, "b")))).toEqual({ status: 200, text: "Answer to Other.", failed: false });
  });
});

it("replays an answer that the app has emptied, without a model call", async () => {
  const chat = await startChat();
  await readResponse(chat.post(chatBody("Hi")));
  await chat.backingStore.updateMessage({ owner: "", threadId: "t" }, "r1", { message: { role: "assistant", content: "" } });
  expect(await readResponse(chat.post(chatBody("Hi")))).toEqual({ status: 200, text: "", failed: false });
  expect(chat.model.calls.length).toBe(1);
});

it("replays a complete answer at once while another turn of the thread runs", async () => {
  const end = createGate();
  const chat = await startChat();
  await readResponse(chat.post(chatBody("Hi")));
  chat.model.next(answerAfter([end.opened, "Late"]));
  const running = chat.post(chatBody("Wait", 2));
  await chat.model.call(1);
  expect(await readResponse(chat.post(chatBody("Hi")))).toEqual({ status: 200, text: "Answer to Hi.", failed: false });
  end.open();
  expect((await readResponse(running)).text).toBe("Late");
});

it("joins a turn of another handler on the same store", async () => {
  const end = createGate();
  const one = await startChat({ script: answerAfter([end.opened, "Once"]) });
  const two = await startChat({ store: one.store });
  const first = one.post(chatBody("Hi"));
  await one.model.call(0);
  const second = two.post(chatBody("Hi"));
  await delay(5);
  end.open();
  expect([(await readResponse(first)).text, (await readResponse(second)).text]).toEqual(["Once", "Once"]);
  expect(two.model.calls).toEqual([]);
});

it("sends a late reader the text before the break, and a disconnected one nothing", async () => {
  const [joined, cut] = [createGate(), createGate()];
  const chat = await startChat({ flushInterval: 0 });
  chat.model.next(async (call) => {
    await call.send(textEvent("One,"));
    await joined.opened;
    await call.send(textEvent(" two,") + textEvent(" three"));
    await cut.opened;
    call.cut();
  });
  const leaver = new AbortController();
  const posts = [chat.post(chatBody("Hi")), chat.post(chatBody("Hi")), chat.post(chatBody("Hi"), { signal: leaver.signal })] as const;
  const [first, late, gone] = await Promise.all(posts);
  joined.open();
  const reader = first.body?.pipeThrough(new TextDecoderStream()).getReader();
  for (let seen = ""; !seen.endsWith("three"); seen += (await reader?.read())?.value ?? "");
  leaver.abort();
  expect(await readResponse(gone)).toEqual({ status: 200, text: "One,", failed: true });
  cut.open();
  await chat.waitForTurns();
  expect(await readResponse(late)).toEqual({ status: 200, text: "One, two, three", failed: true });
});

async function bytesOf(response: Response | Promise<Response>): Promise<string> {
  return Buffer.from(await (await response).arrayBuffer()).toString("hex");
}

function chunksOf(whole: string, size: number): string[] {
  return Array.from({ length: Math.ceil(whole.length / size) }, (_, index) => whole.slice(index * size, (index + 1) * size));
}
