/** Threads whose messages are too large to read as many as `history.maxMessages` allows: every guarantee holds for what is further back. */
import { describe, expect, it } from "vitest";
import { createTools } from "../../src/tools.ts";
import { chatBody, type Chat, expectError, readResponse, startChat, summarize } from "../support/chat.ts";
import { answerAfter, createGate, sendPieces, textEvent } from "../support/model-scripts.ts";
import { failOnUnhandledErrors } from "../support/unhandled-errors.ts";
import { answer, message, prompt } from "../threads/setup.ts";

failOnUnhandledErrors();

const key = { owner: "", threadId: "t" };
/** Reads at most 43,000 characters of JSON: three for each character of text, and 2,000 for each message. */
const history = { maxMessages: 20, maxCharacters: 1_000 };
const large = "x".repeat(50_000);

const readOptions = (chat: Chat) => chat.store.calls.filter(({ method }) => method === "listMessages").map(({ args }) => args[1]);
const contents = (chat: Chat, call = -1) => chat.model.calls.at(call)?.body.messages.map(({ content }) => content);

/** A call of a tool with much text, its result, and the end of the answer. */
const steps = (n: number, status: "complete" | "failed" = "complete") => [
  message(`s${n}`, `p${n}`, { role: "assistant", content: "First. ", tool_calls: [toolCall] }, { status }),
  message(`t${n}`, `p${n}`, { role: "tool", tool_call_id: "c1", content: large }, { status }),
  answer(n, "Last.", { status }),
];
const toolCall = { id: "c1", type: "function", function: { name: "look", arguments: "{}" } };

describe("a thread with large messages", () => {
  it("is read once, and no further back than the model may see", async () => {
    const chat = await startChat({ history });
    await chat.backingStore.appendMessages(key, [prompt(1, large), answer(1), prompt(2), answer(2)]);
    expect((await readResponse(chat.post(chatBody("Hi", 3)))).text).toBe("Answer to Hi.");
    expect(readOptions(chat)).toEqual([{ last: 20, maxCharacters: 43_000 }]);
    expect(contents(chat)).toEqual(["Prompt 2", "Answer 2", "Hi"]);
  });

  it("is not taken for a deleted one by a turn that waited", async () => {
    const chat = await startChat({ history: { maxMessages: 1, maxCharacters: 1 } });
    const end = createGate();
    chat.model.next(answerAfter([end.opened, "Done"]));
    const running = chat.post(chatBody("First", 1));
    await chat.model.call(0);
    const waiting = chat.post(chatBody(large, 2));
    await new Promise((resolve) => setTimeout(resolve, 50));
    end.open();
    await readResponse(running);
    expect((await readResponse(waiting)).status).toBe(200);
  });

  it("replays an answer whose first steps are further back, also while another turn runs", async () => {
    const chat = await startChat({ history });
    await chat.backingStore.appendMessages(key, [prompt(1, "Hi"), ...steps(1)]);
    const whole = { status: 200, text: "First. Last.", failed: false };
    expect(await readResponse(chat.post(chatBody("Hi", 1)))).toEqual(whole);
    expect(await readResponse(chat.resume({ threadId: "t", responseId: "r1" }))).toEqual(whole);
    const end = createGate();
    chat.model.next(answerAfter([end.opened, "Later"]));
    const running = chat.post(chatBody("More", 2));
    await chat.model.call(0);
    expect(await readResponse(chat.post(chatBody("Hi", 1)))).toEqual(whole);
    end.open();
    await readResponse(running);
    expect(chat.model.calls.length).toBe(1);
  });

  it.each([
    ["of a whole answer", [prompt(1, "Hi"), ...steps(1)]],
    ["of a partial answer that hides the prompt", [prompt(1, "Hi"), answer(1, large, { status: "failed" })]],
    ["of a partial answer that fills the window", [prompt(1, "Hi"), answer(1, "é".repeat(30_000), { status: "failed" })]],
  ] as const)("stays deleted when that happens between two reads %s", async (_, messages) => {
    const chat = await startChat({ history });
    await chat.backingStore.appendMessages(key, [...messages]);
    chat.store.injectFaults(({ method, nth }) =>
      method === "listMessages" && nth === 1 ? { before: chat.backingStore.deleteThread(key) } : undefined,
    );
    await expectError(await chat.post(chatBody("Hi", 1)), 409, "thread_deleted");
    await chat.waitForTurns();
    expect(readOptions(chat).length).toBeGreaterThan(1);
    expect(await chat.backingStore.getThread(key)).toBe(undefined);
    expect(chat.model.calls.length).toBe(0);
  });

  it("replays an answer that is further back, and replaces a partial one", async () => {
    const chat = await startChat({ history });
    chat.model.next(sendPieces(textEvent("Half")));
    await readResponse(chat.post(chatBody("First", 1)));
    await readResponse(chat.post(chatBody("Second", 2)));
    await chat.waitForTurns();
    await chat.backingStore.appendMessages(key, [prompt(3, large), answer(3)]);
    expect((await readResponse(chat.post(chatBody("Second", 2)))).text).toBe("Answer to Second.");
    expect(chat.model.calls.length).toBe(2);
    expect((await readResponse(chat.post(chatBody("First", 1)))).text).toBe("Answer to First.");
    expect(contents(chat)).toEqual(["First"]);
    await chat.waitForTurns();
    const stored = summarize(await chat.listStored());
    expect(stored).toHaveLength(6);
    expect(stored.at(-1)).toBe('assistant r1 complete "Answer to First."');
  });

  it("rejects an id that was used for something else further back", async () => {
    const chat = await startChat({ history });
    await readResponse(chat.post(chatBody("Prompt 1", 1)));
    await chat.waitForTurns();
    await chat.backingStore.appendMessages(key, [prompt(2, large), answer(2)]);
    const before = await chat.listStored();
    await expectError(await chat.post(chatBody("Other", 1)), 409, "id_conflict");
    await expectError(await chat.post({ ...chatBody("Prompt 1", 1), responseId: "new" }), 409, "id_conflict");
    const seen = await readResponse(chat.post({ ...chatBody("New", "new"), responseId: "r1" }));
    expect(seen.status === 409 || seen.failed).toBe(true);
    await chat.waitForTurns();
    expect((await chat.listStored()).slice(0, before.length)).toEqual(before);
  });
});

describe("a partial answer as large as what is read", () => {
  const earlier = Array.from({ length: 4 }, (_, n) => [prompt(`e${n}`), answer(`e${n}`)]).flat();

  it("leaves a retry the messages that the first attempt had", async () => {
    const titles: string[] = [];
    const generateTitle = () => (titles.push("made"), "A title");
    const chat = await startChat({ history, generateTitle, tools: createTools([{ name: "look", run: () => "seen" }]) });
    await chat.backingStore.appendMessages(key, [...earlier, prompt(1, "Hi"), answer(1, "x".repeat(42_850), { status: "failed" })]);
    expect((await readResponse(chat.post(chatBody("Hi", 1)))).text).toBe("Answer to Hi.");
    expect(contents(chat)).toEqual([...earlier.map(({ message }) => message.content), "Hi"]);
    await chat.waitForTurns();
    expect(titles).toEqual([]);
    expect(readOptions(chat)).toHaveLength(2);
  });

  it("costs a retry in a short thread no second read", async () => {
    const chat = await startChat({ history });
    await chat.backingStore.appendMessages(key, [...earlier, prompt(1, "Hi"), answer(1, "x".repeat(20_000), { status: "failed" })]);
    await readResponse(chat.post(chatBody("Hi", 1)));
    expect(contents(chat)).toEqual([...earlier.map(({ message }) => message.content), "Hi"]);
    expect(readOptions(chat)).toHaveLength(1);
  });

  it("makes no title for a prompt that only seems to be the first one", async () => {
    const titles: string[] = [];
    const chat = await startChat({ history, generateTitle: () => (titles.push("made"), "A title") });
    await chat.backingStore.appendMessages(key, [...earlier, prompt(1, large)]);
    await readResponse(chat.post(chatBody(large, 1)));
    await readResponse(chat.post(chatBody(large, "new", "another")));
    await chat.waitForTurns();
    expect(titles).toEqual(["made"]);
  });
});
