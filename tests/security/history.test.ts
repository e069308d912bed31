/** What a turn reads and keeps of a long thread. */
import { execFile } from "node:child_process";
import { setImmediate as soon, setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { describe, expect, it } from "vitest";
import { createMemoryStore, type StoredMessage } from "../../src/index.ts";
import { chatBody, type Chat, expectError, readResponse, startChat } from "../support/chat.ts";
import { failOnUnhandledErrors } from "../support/unhandled-errors.ts";
import { usedHeap } from "../support/heap.ts";
import { createGate, answerAfter } from "../support/model-scripts.ts";
import { answer, prompt } from "../threads/setup.ts";

failOnUnhandledErrors();

const key = (threadId = "t") => ({ owner: "", threadId });
const contents = (chat: Chat, call = 0) => chat.model.calls[call]?.body.messages.map(({ content }) => content);

it("sends only the newest turns that have history.maxCharacters together, the prompt included", async () => {
  const chat = await startChat({ history: { maxCharacters: 100 } });
  const stored = [1, 2, 3].flatMap((n) => [prompt(n, "p".repeat(20)), answer(n, "a".repeat(20))]);
  await chat.backingStore.appendMessages(key(), stored);
  await readResponse(chat.post(chatBody("x".repeat(20), "new")));
  // 20 for the prompt and 40 for a turn: two turns would fit in 100 exactly if roles did not count, and they do.
  expect(contents(chat)).toEqual(["p".repeat(20), "a".repeat(20), "x".repeat(20)]);
});

it("always sends the prompt, however long it is", async () => {
  const chat = await startChat({ history: { maxCharacters: 10 } });
  await chat.backingStore.appendMessages(key(), [prompt(1), answer(1)]);
  await readResponse(chat.post(chatBody("x".repeat(50), "new")));
  expect(contents(chat)).toEqual(["x".repeat(50)]);
});

it("counts images and tool calls as text", async () => {
  const chat = await startChat({ history: { maxCharacters: 1_000 } });
  const image = [{ type: "image_url", image_url: { url: `data:image/png;base64,${"A".repeat(2_000)}` } }];
  await chat.backingStore.appendMessages(key(), [prompt(1, image), answer(1), prompt(2), answer(2)]);
  await readResponse(chat.post(chatBody("Hi", "new")));
  expect(contents(chat)).toEqual(["Prompt 2", "Answer 2", "Hi"]);
});

it("sends at most 1,000,000 characters by default", async () => {
  const chat = await startChat();
  const stored = Array.from({ length: 40 }, (_, n) => [prompt(n, "x".repeat(99_000)), answer(n)]).flat();
  await chat.backingStore.appendMessages(key(), stored);
  await readResponse(chat.post(chatBody("Hi", "new")));
  const characters = JSON.stringify(contents(chat)).length;
  expect(characters).toBeGreaterThan(890_000);
  expect(characters).toBeLessThan(1_000_500);
});

it("reads at most four threads of one owner at a time, and makes no other owner wait", async () => {
  const kept = createMemoryStore();
  const reads: string[] = [];
  const done = createGate();
  const store = {
    ...kept,
    async listMessages(...args: Parameters<typeof kept.listMessages>) {
      const { owner } = args[0];
      reads.push(owner);
      if (owner === "eve") await done.opened;
      return kept.listMessages(...args);
    },
  };
  const authorize = ({ request }: { request: Request }) => ({ owner: request.headers.get("X-Owner") ?? "" });
  const chat = await startChat({ backingStore: store, authorize });
  const as = (owner: string) => ({ headers: { "Content-Type": "application/json", "X-Owner": owner } });
  const hostile = Array.from({ length: 33 }, (_, n) => readResponse(chat.post(chatBody("Hi", 1, `t${n}`), as("eve"))));
  await soon();
  expect(reads.filter((owner) => owner === "eve").length).toBe(4);
  expect((await readResponse(chat.post(chatBody("Hi"), as("ada")))).text).toBe("Answer to Hi.");
  expect(reads.filter((owner) => owner === "eve").length).toBe(4);
  done.open();
  for (const { text } of await Promise.all(hostile)) expect(text).toBe("Answer to Hi.");
});

describe("a retry of a prompt that is far back", () => {
  const turnsBehind = (count: number) => Array.from({ length: count }, (_, n) => [prompt(`later${n}`), answer(`later${n}`)]).flat();

  async function startFarBack(count: number, own: StoredMessage[]): Promise<Chat> {
    const chat = await startChat();
    await chat.backingStore.appendMessages(key(), [prompt("before"), answer("before"), ...own, ...turnsBehind(count)]);
    return chat;
  }

  const readsOf = (chat: Chat) => chat.store.calls.filter(({ method }) => method === "listMessages").map(({ args }) => args[1]);

  it("finds it within 2,000 messages", async () => {
    const chat = await startFarBack(990, [prompt("old", "Old")]);
    expect((await readResponse(chat.post(chatBody("Old", "old")))).text).toBe("Answer to Old.");
    expect(contents(chat)).toEqual(["Prompt before", "Answer before", "Old"]);
  });

  it.each([
    ["an unanswered prompt", [prompt("old", "Old")]],
    ["a partial answer", [prompt("old", "Old"), answer("old", "Half", { status: "failed" })]],
    ["a complete answer", [prompt("old", "Old"), answer("old", "Whole")]],
  ] as const)("refuses %s beyond them, and reads no more", async (_, own) => {
    const chat = await startFarBack(1_100, [...own]);
    const before = await chat.listStored();
    const { message, param } = await expectError(await chat.post(chatBody("Old", "old")), 409, "id_conflict");
    expect([message, param]).toEqual(["prompt.id is too far back in its thread. Send the prompt with new ids.", "prompt.id"]);
    expect(await chat.listStored()).toEqual(before);
    expect(chat.model.calls.length).toBe(0);
    for (const options of readsOf(chat)) expect(options).toMatchObject({ last: expect.any(Number), maxCharacters: expect.any(Number) });
  });

  it("resumes a complete answer there, and none that cannot be read whole", async () => {
    const near = await startFarBack(49, [answer("old", "Whole")]);
    expect(await readResponse(near.resume({ threadId: "t", responseId: "rold" }))).toMatchObject({ status: 200, text: "Whole" });
    const far = await startChat();
    const steps = Array.from({ length: 2_100 }, (_, n) => answer("old", "Step", { id: `step${n}` }));
    await far.backingStore.appendMessages(key(), [prompt("old"), ...steps, answer("old", "Whole")]);
    expect((await far.resume({ threadId: "t", responseId: "rold" })).status).toBe(204);
  });

  it("says that the prompt is deleted if the thread ends before that", async () => {
    const chat = await startFarBack(100, [prompt("old", "Old")]);
    chat.store.injectFaults(({ method, nth }) => {
      const isSecondRead = method === "listMessages" && nth === 1;
      return isSecondRead ? { before: chat.backingStore.deleteMessages(key(), ["pold"]) } : undefined;
    });
    await expectError(await chat.post(chatBody("Old", "old")), 409, "thread_deleted");
  });
});

it("does not wait for other reads of the owner longer than timeouts.store", async () => {
  const chat = await startChat({ timeouts: { store: 50 } });
  chat.store.injectFaults(({ method, nth }) => (method === "listMessages" && nth < 4 ? "hang" : undefined));
  const seen = await Promise.all(Array.from({ length: 6 }, (_, n) => readResponse(chat.post(chatBody("Hi", 1, `t${n}`)))));
  expect(seen.filter(({ status }) => status === 503).length).toBeGreaterThanOrEqual(4);
  // No slot is lost: the owner can go on.
  for (let n = 0; n < 5; n++) expect((await readResponse(chat.post(chatBody("Hi", 2, `t${n}`)))).status).toBe(200);
});

it("keeps nothing of the thread in a turn that waits", async () => {
  const end = createGate();
  const chat = await startChat({ script: answerAfter([end.opened, "Done"]) });
  const stored: StoredMessage[] = Array.from({ length: 50 }, (_, n) => [prompt(n, "x".repeat(100_000)), answer(n)]).flat();
  await chat.backingStore.appendMessages(key(), stored);
  const first = chat.post(chatBody("First", "a"));
  await chat.model.call(0);
  const before = usedHeap();
  const waiting = Array.from({ length: 32 }, (_, n) => readResponse(chat.post(chatBody("Short", `w${n}`))));
  await delay(500);
  // The thread has 5 MB; a waiting turn keeps its prompt, its log and its response.
  expect(usedHeap() - before).toBeLessThan(32 * 50_000);
  end.open();
  await readResponse(first);
  for (const { text } of await Promise.all(waiting)) expect(text).toBe("Done");
});

it("queues 33 turns on a thread of 100 MB, and loads it, in a heap of 96 MB", { timeout: 120_000 }, async () => {
  const file = fileURLToPath(new URL("large-thread-load.ts", import.meta.url));
  const { stdout } = await promisify(execFile)(process.execPath, ["--no-warnings", "--max-old-space-size=96", file]);
  const { answers, loaded } = JSON.parse(stdout) as { answers: string[]; loaded: number[] };
  expect(answers).toHaveLength(33);
  for (const text of answers) expect(text).toMatch(/[0-9]+ messages/);
  // The five newest messages of 1 MB would have too many characters, with the 66 short ones after them.
  expect(loaded).toEqual([70, 70, 70, 70]);
});
