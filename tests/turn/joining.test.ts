/** The same request more than once: one model call, and everyone gets all of the answer. */
import { setTimeout as delay } from "node:timers/promises";
import { describe, expect, it } from "vitest";
import { ask, expectError, inShort, read, startChat, ways } from "../support/chat.ts";
import { watchForFloatingErrors } from "../support/floating.ts";
import { done, finish, gate, says, saysAfter, sends, stalls, text } from "../support/scripts.ts";

watchForFloatingErrors();

const whole = "Größe 😀, all of it.";
const stored = ['user p1 complete "Hi"', `assistant r1 complete ${JSON.stringify(whole)}`];

describe.each(ways)("$name", ({ way }) => {
  it("gives both of two requests at once the whole answer of one model call", async () => {
    const chat = await startChat({ ...way, script: says("Größe", " 😀,", " all of it.") });
    const both = await Promise.all([read(chat.post(ask("Hi"))), read(chat.post(ask("Hi")))]);
    const seen = { status: 200, text: whole, failed: false };
    expect(both).toEqual([seen, seen]);
    await chat.settled();
    expect(chat.model.calls.length).toBe(1);
    expect(inShort(await chat.stored())).toEqual(stored);
    expect(chat.ended.length).toBe(1);
  });

  it("gives a late joiner all from the beginning, byte for byte", async () => {
    const [middle, end] = [gate(), gate()];
    const chat = await startChat({
      ...way,
      script: saysAfter([Promise.resolve(), "Größe"], [middle.opened, " 😀,"], [end.opened, " all of it."]),
    });
    const first = bytesOf(chat.post(ask("Hi")));
    await chat.model.call(0);
    const second = await chat.post(ask("Hi"));
    middle.open();
    const third = await chat.post(ask("Hi"));
    end.open();
    const all = await Promise.all([first, bytesOf(second), bytesOf(third)]);
    const expected = Buffer.from(whole).toString("hex");
    expect(all).toEqual([expected, expected, expected]);
    expect(chat.model.calls.length).toBe(1);
  });

  it("replays a complete answer byte for byte without a model call", async () => {
    const chat = await startChat({ ...way, script: says("Größe", " 😀,", " all of it.") });
    const first = await bytesOf(chat.post(ask("Hi")));
    expect([await bytesOf(chat.post(ask("Hi"))), await bytesOf(chat.post(ask("Hi")))]).toEqual([first, first]);
    await chat.settled();
    expect(chat.model.calls.length).toBe(1);
    expect(inShort(await chat.stored())).toEqual(stored);
    expect(chat.ended.length).toBe(1);
  });

  it("replays an answer whose prompt was deleted, and does not bring it back", async () => {
    const chat = await startChat(way);
    const first = await bytesOf(chat.post(ask("Hi")));
    await chat.kept.deleteMessages({ owner: "", threadId: "t" }, ["p1"]);
    expect(await bytesOf(chat.post(ask("Hi")))).toEqual(first);
    await chat.settled();
    expect((await chat.stored()).map(({ id }) => id)).toEqual(["r1"]);
  });

  it("replays an answer longer than one write, byte for byte", async () => {
    const long = "Größe 😀 ".repeat(30_000);
    const chat = await startChat({ ...way, script: sends(...chunksOf(long, 10_000).map(text), finish(), done) });
    const first = await read(chat.post(ask("Hi")));
    expect(first.text === long && !first.failed).toBe(true);
    const again = await read(chat.post(ask("Hi")));
    expect(again.text === long && !again.failed).toBe(true);
  });

  it("goes on for the others when one joiner leaves, be it the first or a later one", async () => {
    const end = gate();
    const chat = await startChat({ ...way, script: saysAfter([Promise.resolve(), "Größe"], [end.opened, " 😀, all of it."]) });
    const leaver = new AbortController();
    const lateLeaver = new AbortController();
    const first = chat
      .post(ask("Hi"), { signal: leaver.signal })
      .then(read)
      .catch(() => undefined);
    await chat.model.call(0);
    const second = await chat.post(ask("Hi"));
    const third = chat
      .post(ask("Hi"), { signal: lateLeaver.signal })
      .then(read)
      .catch(() => undefined);
    await delay(5);
    leaver.abort();
    lateLeaver.abort();
    await Promise.all([first, third]);
    await delay(5);
    expect(chat.model.calls[0]?.leftAt).toBeUndefined();
    end.open();
    expect(await read(second)).toEqual({ status: 200, text: whole, failed: false });
    await chat.settled();
    expect(inShort(await chat.stored())).toEqual(stored);
  });

  it("stops the model when the last of all who joined has left", async () => {
    const chat = await startChat({ ...way, script: stalls("Größe") });
    const [one, two] = [new AbortController(), new AbortController()];
    const responses = await Promise.all([one, two].map(({ signal }) => chat.post(ask("Hi"), { signal })));
    const seen = responses.map(read);
    const call = await chat.model.call(0);
    one.abort();
    await delay(10);
    expect(call.leftAt).toBeUndefined();
    two.abort();
    await call.left;
    await Promise.all(seen);
    await chat.settled();
    expect((await chat.stored()).map(({ id, status }) => `${id} ${status}`)).toEqual(["p1 complete", "r1 stopped"]);
  });

  it("tells all who joined when the answer breaks off", async () => {
    const end = gate();
    const chat = await startChat({ ...way });
    chat.model.next(async (call) => {
      await call.send(text("Half"));
      await end.opened;
      call.cut();
    });
    const first = await chat.post(ask("Hi"));
    const second = await chat.post(ask("Hi"));
    const seen = [read(first), read(second)];
    end.open();
    for (const { failed } of await Promise.all(seen)) expect(failed).toBe(true);
    await chat.settled();
    expect(chat.errors.length).toBe(1);
  });

  it("makes an answer that broke off anew, and not twice when it is asked for twice", async () => {
    const chat = await startChat(way);
    chat.model.next(sends(text("Half")));
    expect((await read(chat.post(ask("Hi")))).failed).toBe(true);
    const both = await Promise.all([read(chat.post(ask("Hi"))), read(chat.post(ask("Hi")))]);
    const seen = { status: 200, text: "Answer to Hi.", failed: false };
    expect(both).toEqual([seen, seen]);
    expect(chat.model.calls.length).toBe(2);
  });
});

it("makes an answer that broke off anew under another response id, and keeps nothing of the old one", async () => {
  const chat = await startChat();
  chat.model.next(sends(text("Half")));
  await read(chat.post(ask("Hi")));
  expect((await read(chat.post({ ...ask("Hi"), responseId: "r9" }))).text).toBe("Answer to Hi.");
  await chat.settled();
  expect(inShort(await chat.stored())).toEqual(['user p1 complete "Hi"', 'assistant r9 complete "Answer to Hi."']);
});

describe("an id that was used for something else", () => {
  it.each([
    [
      "the response id of another prompt",
      { prompt: { id: "p9", role: "user", content: "Hi" }, threadId: "t", responseId: "r1" },
      "responseId",
    ],
    [
      "the prompt id with another content",
      { prompt: { id: "p1", role: "user", content: "Other" }, threadId: "t", responseId: "r1" },
      "prompt.id",
    ],
    [
      "the prompt id with another response id",
      { prompt: { id: "p1", role: "user", content: "Hi" }, threadId: "t", responseId: "r9" },
      "prompt.id",
    ],
    ["a prompt id for a response", { prompt: { id: "p9", role: "user", content: "Hi" }, threadId: "t", responseId: "p1" }, "responseId"],
    [
      "a response id for a prompt, in the words of the answer",
      { prompt: { id: "r1", role: "user", content: "Answer to Hi." }, threadId: "t", responseId: "r9" },
      "prompt.id",
    ],
    ["a response id for a prompt", { prompt: { id: "r1", role: "user", content: "Hi" }, threadId: "t", responseId: "r9" }, "prompt.id"],
  ])("is refused with 409: %s", async (_, request, param) => {
    const chat = await startChat();
    await read(chat.post(ask("Hi")));
    const before = await chat.stored();
    const error = await expectError(await chat.post(request), 409, "id_conflict");
    expect(error.param).toBe(param);
    await chat.settled();
    expect(await chat.stored()).toEqual(before);
    expect(chat.model.calls.length).toBe(1);
  });

  it("is refused with 409 while the answer is still running", async () => {
    const end = gate();
    const chat = await startChat({ script: saysAfter([Promise.resolve(), "Gr"], [end.opened, "."]) });
    const first = await chat.post(ask("Hi"));
    for (const prompt of [
      { id: "p9", role: "user", content: "Hi" },
      { id: "p1", role: "user", content: "Other" },
    ]) {
      await expectError(await chat.post({ ...ask("Hi"), prompt }), 409, "id_conflict");
    }
    end.open();
    expect((await read(first)).failed).toBe(false);
  });

  it("is another id in another thread", async () => {
    const chat = await startChat();
    await read(chat.post(ask("Hi", 1, "a")));
    expect(await read(chat.post(ask("Other", 1, "b")))).toEqual({ status: 200, text: "Answer to Other.", failed: false });
  });
});

it("replays an answer that the app has emptied since, and asks no model for it", async () => {
  const chat = await startChat();
  await read(chat.post(ask("Hi")));
  await chat.kept.updateMessage({ owner: "", threadId: "t" }, "r1", { message: { role: "assistant", content: "" } });
  expect(await read(chat.post(ask("Hi")))).toEqual({ status: 200, text: "", failed: false });
  expect(chat.model.calls.length).toBe(1);
});

it("replays a complete answer at once while another turn of the thread runs", async () => {
  const end = gate();
  const chat = await startChat();
  await read(chat.post(ask("Hi")));
  chat.model.next(saysAfter([end.opened, "Late"]));
  const running = chat.post(ask("Wait", 2));
  await chat.model.call(1);
  expect(await read(chat.post(ask("Hi")))).toEqual({ status: 200, text: "Answer to Hi.", failed: false });
  end.open();
  expect((await read(running)).text).toBe("Late");
});

it("joins across handlers on one store", async () => {
  const end = gate();
  const one = await startChat({ script: saysAfter([end.opened, "Once"]) });
  const two = await startChat({ store: one.store });
  const first = one.post(ask("Hi"));
  await one.model.call(0);
  const second = two.post(ask("Hi"));
  await delay(5);
  end.open();
  expect([(await read(first)).text, (await read(second)).text]).toEqual(["Once", "Once"]);
  expect(two.model.calls).toEqual([]);
});

it("gives one who reads late what was said before the answer broke off, and one who left nothing more", async () => {
  const [joined, cut] = [gate(), gate()];
  const chat = await startChat({ flushInterval: 0 });
  chat.model.next(async (call) => {
    await call.send(text("One,"));
    await joined.opened;
    await call.send(text(" two,") + text(" three"));
    await cut.opened;
    call.cut();
  });
  const leaver = new AbortController();
  const posts = [chat.post(ask("Hi")), chat.post(ask("Hi")), chat.post(ask("Hi"), { signal: leaver.signal })] as const;
  const [first, late, gone] = await Promise.all(posts);
  joined.open();
  const reader = first.body?.pipeThrough(new TextDecoderStream()).getReader();
  for (let seen = ""; !seen.endsWith("three"); seen += (await reader?.read())?.value ?? "");
  leaver.abort();
  expect(await read(gone)).toEqual({ status: 200, text: "One,", failed: true });
  cut.open();
  await chat.settled();
  expect(await read(late)).toEqual({ status: 200, text: "One, two, three", failed: true });
});

async function bytesOf(response: Response | Promise<Response>): Promise<string> {
  return Buffer.from(await (await response).arrayBuffer()).toString("hex");
}

function chunksOf(whole: string, size: number): string[] {
  return Array.from({ length: Math.ceil(whole.length / size) }, (_, index) => whole.slice(index * size, (index + 1) * size));
}
