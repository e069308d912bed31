/** Answers that outlive the page: a reload, a second tab, another thread, Stop, and a retry. */
import type { StoredMessage } from "chat-handler";
import type { Browser } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from "vitest";
import { answerWith } from "../support/model-scripts.ts";
import { type ModelServer, startModelServer } from "../support/model-server.ts";
import { type Chat, launchBrowser, openChat, openTab } from "./browser.ts";
import { openSqliteFile } from "./databases.ts";
import { type DemoServer, startDemo } from "./demo-server.ts";
import { createStory, tellAll } from "./story.ts";

let model: ModelServer;
let demo: DemoServer;
let browser: Browser;

beforeAll(async () => {
  model = await startModelServer(answerWith("unused"));
  const database = await openSqliteFile();
  demo = await startDemo({ ...database, env: { ...database.env, THESYS_API_KEY: "sk-test", THESYS_BASE_URL: model.baseURL } });
  browser = await launchBrowser();
});

afterAll(async () => {
  await browser?.close();
  await demo?.close();
  await model?.close();
});

describe("an answer", () => {
  it("goes on after a reload and in a second tab, to its end, once", async () => {
    const chat = await open();
    const calls = model.calls.length;
    const story = createStory("Once");
    model.next(story.script);
    await chat.send("A story");
    await chat.answer.getByText("Once").waitFor();
    await chat.page.reload();
    await chat.answer.getByText("Once").waitFor();
    // It is an answer that runs: it can be stopped, and nothing marks it as partial.
    await chat.stopButton.waitFor();
    story.tell("upon");
    await chat.answer.getByText("upon").waitFor();
    await chat.picture("resumed after a reload");

    const second = await openTab(chat.page.context(), chat.page.url());
    await second.answer.getByText("upon").waitFor();
    await second.stopButton.waitFor();
    story.tell("a time");
    for (const tab of [chat, second]) await tab.answer.getByText("a time").waitFor();
    await second.picture("the second tab");
    story.end("The end.");
    for (const tab of [chat, second]) {
      await tab.answer.getByText("The end.").waitFor();
      await tab.ended();
      expect(await tab.answers.count()).toBe(1);
      expect(await tab.prompts.allTextContents()).toEqual(["A story"]);
      expect((await tab.answer.textContent())?.match(/\w+/g)?.join(" ")).toBe("Once upon a time The end");
      expect(await tab.page.getByRole("alert").count()).toBe(0);
    }
    expect(await stored(chat)).toMatchObject([{ status: "complete" }, { status: "complete" }]);
    expect(model.calls.length - calls).toBe(1);
  });

  it("that is resumed before its first text can be stopped", async () => {
    const chat = await open();
    const number = model.calls.length;
    model.next((call) => call.closed);
    await chat.send("Think about it");
    const call = await model.call(number);
    await chat.page.reload();
    await chat.stopButton.waitFor();
    await chat.stop();
    await call.disconnected;
    await chat.page.getByRole("alert").getByText("This answer was stopped.").waitFor();
    expect(await stored(chat)).toHaveLength(1);
    model.next(tellAll("A thought."));
    await chat.page.getByRole("button", { name: "Try again" }).click();
    await chat.answer.getByText("The end.").waitFor();
    await chat.ended();
    expect(await stored(chat)).toMatchObject([{ status: "complete" }, { status: "complete" }]);
  });

  it("stays stopped after a reload, is marked as partial, and a retry makes it whole", async () => {
    const chat = await open();
    const number = model.calls.length;
    model.next(createStory("Once upon a time").script);
    await chat.send("A story");
    await chat.answer.getByText("Once upon a time").waitFor();
    await chat.stop();
    await (
      await model.call(number)
    ).disconnected;
    const mark = chat.page.getByRole("alert").getByText("This answer was stopped.");
    await mark.waitFor();
    await expect.poll(() => stored(chat)).toMatchObject([{ status: "complete" }, { status: "stopped" }]);
    const [, partial] = await stored(chat);
    await chat.page.reload();
    await mark.waitFor();
    await chat.picture("stopped");
    expect(await chat.stopButton.count()).toBe(0);
    expect((await stored(chat))[1]).toEqual(partial);

    model.next(tellAll("The whole story."));
    await chat.page.getByRole("button", { name: "Try again" }).click();
    await chat.answer.getByText("The whole story.").waitFor();
    await chat.answer.getByText("The end.").waitFor();
    await chat.ended();
    expect(await mark.count()).toBe(0);
    expect(await chat.answers.count()).toBe(1);
    expect(await stored(chat)).toMatchObject([{ status: "complete" }, { status: "complete", id: partial?.id }]);
  });

  it("goes on while another thread is selected", async () => {
    const chat = await open();
    const story = createStory("Once");
    model.next(story.script);
    await chat.send("A story");
    await chat.answer.getByText("Once").waitFor();
    await chat.page.getByRole("button", { name: "New Chat" }).click();
    model.next(tellAll("Another thread."));
    await chat.send("Something else");
    await chat.answer.getByText("Another thread.").waitFor();
    await chat.ended();
    story.tell("upon a time");
    await chat.titles.last().click();
    await chat.answer.getByText("upon a time").waitFor();
    await chat.stopButton.waitFor();
    // Selected once more while its answer runs.
    await chat.titles.last().click();
    story.end("The end.");
    await chat.answer.getByText("The end.").waitFor();
    await chat.ended();
    expect(await chat.page.getByRole("alert").count()).toBe(0);
  });
});

/** Opens a chat that sees no faults. */
async function open(): Promise<Chat> {
  const chat = await openChat(browser, demo.url);
  onTestFinished(async () => {
    await chat.close();
    expect(chat.faults).toEqual([]);
  });
  return chat;
}

/** The messages of the only thread of a browser. */
const stored = async ({ owner }: Pick<Chat, "owner">): Promise<StoredMessage[]> => demo.stored(await owner());
