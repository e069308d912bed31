/** Answers that outlive the page: a reload, a second tab, another thread, Stop, and a retry. */
import type { Browser, Page } from "playwright-core";
import type { StoredMessage } from "chat-handler";
import { afterAll, beforeAll, describe, expect, it, type TestContext } from "vitest";
import { type Chat, launchBrowser, openChat } from "./browser.ts";
import { openSqliteFile } from "./databases.ts";
import { type DemoServer, startDemo } from "./demo-server.ts";

let demo: DemoServer;
let browser: Browser;

beforeAll(async () => {
  demo = await startDemo(await openSqliteFile());
  browser = await launchBrowser();
});

afterAll(async () => {
  await browser?.close();
  await demo?.close();
});

const story = "Tell me a long story";
const answerOf = (page: Page) => page.locator(".crayon-shell-thread-message-assistant");
const stopButton = (page: Page) => page.locator("button:visible svg.lucide-square");

describe("an answer", () => {
  it.concurrent("goes on after a reload and in a second tab, to its end, once", async ({ onTestFinished }) => {
    const { page, answer, ...chat } = await open(onTestFinished);
    await chat.send(story);
    await answer.getByText("Part 2.").waitFor();
    await page.reload();
    await answer.getByText("Part 3.").waitFor();
    // It is an answer that runs, which can be stopped.
    await stopButton(page).waitFor();
    await chat.picture("resumed after a reload");

    const second = await page.context().newPage();
    await second.goto(page.url());
    await answerOf(second).getByText("Part 5.").waitFor();
    await stopButton(second).waitFor();
    for (const tab of [page, second]) {
      await answerOf(tab).getByText("Part 40.").waitFor();
      await stopButton(tab).waitFor({ state: "detached" });
      expect(await answerOf(tab).count()).toBe(1);
      expect(await tab.locator(".crayon-shell-thread-message-user").allTextContents()).toEqual([story]);
      expect((await answerOf(tab).textContent())?.match(/Part \d+\./g)).toEqual(Array.from({ length: 40 }, (_, n) => `Part ${n + 1}.`));
    }
    expect(await stored(chat)).toMatchObject([{ status: "complete" }, { status: "complete" }]);
    await second.screenshot({ path: ".artifacts/second tab.png" });
  });

  it.concurrent("stays stopped after a reload, is marked as partial, and a retry makes it whole", async ({ onTestFinished }) => {
    const { page, answer, ...chat } = await open(onTestFinished);
    await chat.send(story);
    await answer.getByText("Part 2.").waitFor();
    await chat.stop();
    const mark = page.getByRole("alert").getByText("This answer was stopped.");
    await mark.waitFor();
    await expect.poll(() => stored(chat)).toMatchObject([{ status: "complete" }, { status: "stopped" }]);
    const partial = (await stored(chat))[1];
    await page.reload();
    await mark.waitFor();
    await chat.picture("stopped");
    expect(await stopButton(page).count()).toBe(0);
    expect((await stored(chat))[1]).toEqual(partial);

    await page.getByRole("button", { name: "Try again" }).click();
    await answer.getByText("Part 40.").waitFor();
    await chat.ended();
    expect(await mark.count()).toBe(0);
    expect(await answerOf(page).count()).toBe(1);
    expect(await stored(chat)).toMatchObject([{ status: "complete" }, { status: "complete", id: partial?.id }]);
  });

  it.concurrent("goes on while another thread is selected", async ({ onTestFinished }) => {
    const { page, answer, titles, ...chat } = await open(onTestFinished);
    await chat.send(story);
    await answer.getByText("Part 1.").waitFor();
    await page.getByRole("button", { name: "New Chat" }).click();
    await chat.send("Compare the plans in a table");
    await answer.getByRole("cell", { name: "Mail, within a day" }).waitFor();
    await chat.ended();
    await titles.last().click();
    await answer.getByText("Part 12.").waitFor();
    await chat.stop();
    await page.getByText("This answer was stopped.").waitFor();
    await page.reload();
    await page.getByText("This answer was stopped.").waitFor();
  });
});

/** Opens a chat that sees no faults. */
async function open(onTestFinished: TestContext["onTestFinished"]): Promise<Chat> {
  const chat = await openChat(browser, demo.url);
  onTestFinished(async () => {
    await chat.close();
    expect(chat.faults).toEqual([]);
  });
  return chat;
}

/** The messages of the only thread of a browser. */
const stored = async ({ owner }: Pick<Chat, "owner">): Promise<StoredMessage[]> => demo.stored(await owner());
