/** Titles: the plain text of the first prompt, or the app's own, until the user renames the thread. */
import { describe, expect, it } from "vitest";
import { promptText } from "../../src/index.ts";
import { chatBody, type Chat, readResponse, startChat } from "../support/chat.ts";
import { failOnUnhandledErrors } from "../support/unhandled-errors.ts";
import { createGate, sendPieces, textEvent } from "../support/model-scripts.ts";

failOnUnhandledErrors();

const titleOf = async (chat: Chat) => (await chat.backingStore.getThread({ owner: "", threadId: "t" }))?.title;

/** Prompts, each with the text that the user typed. */
const prompts: [prompt: unknown, typed: string][] = [
  ["Hello there", "Hello there"],
  ["  Hello  ", "Hello"],
  ['<content thesys="true">A &amp; B</content>', "A & B"],
  [
    '<content thesys="true">&lt;b&gt; &quot;x&quot; &#39;y&#39; &amp;lt;</content><context>["User clicked"]</context>',
    "<b> \"x\" 'y' &lt;",
  ],
  [
    '<content thesys="true">Submit</content><context>["User clicked on Button: submit",[{"a":"<content>no</content>"}]]</context>',
    "Submit",
  ],
  ["<content>Plain</content>", "Plain"],
  ["&amp; stays where nothing was wrapped", "&amp; stays where nothing was wrapped"],
  ['<content thesys="true">&constructor; &toString; &__proto__; &unknown;</content>', "&constructor; &toString; &__proto__; &unknown;"],
  ["<contents>no tag of ours</contents>", "<contents>no tag of ours</contents>"],
  [
    [
      { type: "text", text: "What is" },
      { type: "image_url", image_url: { url: "https://a.b/c" } },
      { type: "text", text: "this?" },
    ],
    "What is this?",
  ],
];

it.each(prompts)("is the plain text of the first prompt: %j", async (prompt, typed) => {
  const chat = await startChat();
  await readResponse(chat.post(chatBody(prompt)));
  await readResponse(chat.post(chatBody("Another", 2)));
  await chat.waitForTurns();
  expect((await titleOf(chat))?.split(/\s+/)).toEqual(typed.split(/\s+/));
  expect(promptText(prompt as Parameters<typeof promptText>[0]).split(/\s+/)).toEqual(typed.split(/\s+/));
});

it.each([
  ["one\ntwo\r\n\tthree", "one two three"],
  ["x".repeat(80), "x".repeat(80)],
  ["x".repeat(81), `${"x".repeat(79)}…`],
  ["😀".repeat(100), `${"😀".repeat(79)}…`],
  ["a\u0007b\u0085c", "a b c"],
])("is one line of at most 80 characters: %j", async (prompt, title) => {
  const chat = await startChat();
  await readResponse(chat.post(chatBody(prompt)));
  await chat.waitForTurns();
  expect(await titleOf(chat)).toBe(title);
});

it("is stored with the first prompt, before the model answers", async () => {
  const chat = await startChat();
  const end = createGate();
  chat.model.next(() => end.opened);
  const response = chat.post(chatBody("Hi"));
  await chat.model.call(0);
  expect(await titleOf(chat)).toBe("Hi");
  end.open();
  await response;
});

it("is fast for a long prompt", async () => {
  const chat = await startChat({ limits: { bodyBytes: 10_000_000, promptCharacters: 5_000_000 } });
  const started = performance.now();
  for (const content of ["<content ".repeat(100_000), `<content>${"&".repeat(900_000)}`, " ".repeat(900_000) + "x"])
    await readResponse(chat.post(chatBody(content, content[1])));
  expect(performance.now() - started).toBeLessThan(5_000);
});

it("has no white space around it", () => {
  expect(promptText('<content thesys="true"> A &amp; B\n</content>')).toBe("A & B");
});

describe("generateTitle", () => {
  it("is given up after timeouts.turn: what waitUntil was given settles, and the title of the prompt stays", async () => {
    const chat = await startChat({ generateTitle: () => new Promise(() => {}), timeouts: { turn: 1_500 } });
    expect((await readResponse(chat.post(chatBody("Hi")))).text).toBe("Answer to Hi.");
    await chat.waitForTurns();
    expect(chat.errors).toMatchObject([{ code: "internal", cause: new Error("generateTitle took longer than 1500 ms.") }]);
    expect(await titleOf(chat)).toBe("Hi");
  });

  it("runs once for the first prompt, and the turn does not wait for it", async () => {
    const made = createGate();
    const titleCalls: string[] = [];
    const chat = await startChat({
      generateTitle: async ({ prompt }) => {
        titleCalls.push(prompt.id);
        await made.opened;
        return "  A better\n title ";
      },
    });
    expect((await readResponse(chat.post(chatBody("Hi")))).failed).toBe(false);
    expect((await readResponse(chat.post(chatBody("Again", 2)))).failed).toBe(false);
    expect(await titleOf(chat)).toBe("Hi");
    made.open();
    await chat.waitForTurns();
    expect(await titleOf(chat)).toBe("A better title");
    expect(titleCalls).toEqual(["p1"]);
  });

  it("runs for a first prompt without text, too", async () => {
    const chat = await startChat({ generateTitle: () => "A picture" });
    await readResponse(chat.post(chatBody([{ type: "image_url", image_url: { url: "https://a.b/c" } }])));
    await chat.waitForTurns();
    expect(await titleOf(chat)).toBe("A picture");
  });

  it("runs if the first prompt was stored before its turn", async () => {
    const chat = await startChat({ generateTitle: () => "Better" });
    const prompt = { id: "p1", promptId: "p1", message: { role: "user", content: "Hi" }, status: "complete", createdAt: 0 } as const;
    await chat.backingStore.appendMessages({ owner: "", threadId: "t" }, [prompt], { title: "Hi" });
    await readResponse(chat.post(chatBody("Hi")));
    await chat.waitForTurns();
    expect(await titleOf(chat)).toBe("Better");
  });

  it("keeps a title that the user changed meanwhile", async () => {
    const made = createGate();
    const chat = await startChat({ generateTitle: () => made.opened.then(() => "Made up") });
    await readResponse(chat.post(chatBody("Hi")));
    await chat.backingStore.renameThread({ owner: "", threadId: "t" }, "My own");
    made.open();
    await chat.waitForTurns();
    expect(await titleOf(chat)).toBe("My own");
  });

  it("does not restore a thread that was deleted meanwhile", async () => {
    const made = createGate();
    const chat = await startChat({ generateTitle: () => made.opened.then(() => "Made up") });
    await readResponse(chat.post(chatBody("Hi")));
    await chat.backingStore.deleteThread({ owner: "", threadId: "t" });
    made.open();
    await chat.waitForTurns();
    expect(await titleOf(chat)).toBeUndefined();
    expect(chat.errors).toEqual([]);
  });

  it.each([
    ["", "Hi"],
    [" \n", "Hi"],
    ["x".repeat(200), `${"x".repeat(79)}…`],
    ["a\ud83d", "a\ufffd"],
  ])("may return %j", async (given, title) => {
    const chat = await startChat({ generateTitle: () => given });
    await readResponse(chat.post(chatBody("Hi")));
    await chat.waitForTurns();
    expect(await titleOf(chat)).toBe(title);
  });

  it.each<[unknown]>([[undefined], [null], [5], [{}]])("changes nothing if it returns %j", async (given) => {
    const chat = await startChat({ generateTitle: () => given as string });
    expect((await readResponse(chat.post(chatBody("Hi")))).failed).toBe(false);
    await chat.waitForTurns();
    expect(await titleOf(chat)).toBe("Hi");
  });

  it.each(["getThread", "renameThread"])("does not harm the turn if the store's %s() fails", async (method) => {
    const chat = await startChat({ generateTitle: () => "Better" });
    chat.store.injectFaults((call) => (call.method === method ? "reject" : undefined));
    expect((await readResponse(chat.post(chatBody("Hi")))).failed).toBe(false);
    await chat.waitForTurns();
    expect(await titleOf(chat)).toBe("Hi");
    expect(chat.errors).toMatchObject([{ code: "store_failed" }]);
  });

  it("runs even if the first answer breaks, and not again on the retry", async () => {
    let titleCalls = 0;
    const chat = await startChat({ generateTitle: () => `Title ${++titleCalls}` });
    chat.model.next(sendPieces(textEvent("Half")));
    await readResponse(chat.post(chatBody("Hi")));
    await readResponse(chat.post(chatBody("Hi")));
    await chat.waitForTurns();
    expect([titleCalls, await titleOf(chat)]).toEqual([1, "Title 1"]);
  });
});

it.each([
  ["report.pdf", [{ type: "file", file: { filename: "report.pdf", file_data: "data:application/pdf;base64,AAAA" } }]],
  ["File", [{ type: "file", file: { file_data: "data:application/pdf;base64,AAAA" } }]],
  ["Image", [{ type: "image_url", image_url: { url: "https://example.com/a.png" } }]],
])("titles a thread %s after a prompt without text", async (title, content) => {
  const chat = await startChat();
  await readResponse(chat.post(chatBody(content)));
  expect(await titleOf(chat)).toBe(title);
});
