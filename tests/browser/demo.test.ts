import type { StoredMessage } from "chat-handler";
import type { Browser } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from "vitest";
import { type Chat, launchBrowser, openChat } from "./browser.ts";
import { openSqliteFile } from "./databases.ts";
import { type DemoServer, npmStart, startDemo } from "./demo-server.ts";

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

describe("the demo in a browser", () => {
  it("says what it is, and answers with components, turn after turn", async () => {
    const { page, answer, ...chat } = await open();
    await page.getByText("Demo model: answers written beforehand, no AI").waitFor();
    await chat.picture("welcome");
    await chat.send("Show revenue as a chart");
    await answer.getByText("This is the embedded demo model").waitFor();
    await answer.locator(".recharts-bar-rectangle path").last().waitFor();
    await chat.ended();
    await chat.picture("chart");

    await chat.send("Compare the plans in a table");
    await answer.getByRole("cell", { name: "Mail, within a day" }).waitFor();
    await chat.ended();
    expect(await page.locator(".crayon-shell-thread-message-assistant").count()).toBe(2);
    const pictures = await page
      .locator("img")
      .evaluateAll((images) => images.map((image) => image instanceof HTMLImageElement && image.naturalWidth));
    expect(Math.min(...pictures.map(Number))).toBeGreaterThan(0);
    await chat.picture("table");
  });

  it("stops an answer and keeps what was said", async () => {
    const { answer, ...chat } = await open();
    await chat.send("Tell me a long story");
    await answer.getByText("Part 2.").waitFor();
    await chat.stop();
    await chat.ended();
    await expect.poll(() => stored(chat)).toMatchObject([{ status: "complete" }, { status: "stopped" }]);
    const said = (await stored(chat))[1]?.message.content;
    expect(said).toContain("Part 2.");
    expect(said).not.toContain("Part 40.");

    await chat.send("A table, please");
    await answer.getByRole("cell", { name: "Starter" }).waitFor();
  });

  it("shows that an answer broke off", async () => {
    const { page, answer, ...chat } = await open(["Failed to load resource: net::ERR_INCOMPLETE_CHUNKED_ENCODING"]);
    await chat.send("Break off in the middle");
    await page.getByRole("alert").getByText("This answer broke off").waitFor();
    expect(await answer.textContent()).toContain("This answer breaks off");
    await chat.picture("broken");
    await expect.poll(() => stored(chat)).toMatchObject([{ status: "complete" }, { status: "failed" }]);
  });

  it("shows why no answer came", async () => {
    const { answer, ...chat } = await open();
    await chat.send("Please fail");
    await answer.getByText("The model could not answer").waitFor();
    await chat.picture("failed");
    expect(await stored(chat)).toHaveLength(1);
  });

  it("lists, renames and deletes threads", async () => {
    const { page, titles, ...chat } = await open();
    for (const prompt of ["Give me an overview card", "What can you do?"]) {
      await page.getByRole("button", { name: "New Chat" }).click();
      await chat.send(prompt);
      await chat.ended();
    }
    expect(await titles.allTextContents()).toEqual(["What can you do?", "Give me an overview card"]);

    page.once("dialog", (dialog) => void dialog.accept("The year"));
    await titles.last().dblclick();
    await expect.poll(() => titles.allTextContents()).toEqual(["What can you do?", "The year"]);
    await page.getByRole("cell", { name: "Starter" }).waitFor();
    await chat.picture("threads");

    await page.locator(".crayon-shell-thread-button").first().hover();
    await page.locator(".crayon-shell-thread-button-dropdown-trigger").first().click();
    await page.getByRole("menuitem", { name: "Delete" }).click();
    await expect.poll(() => titles.allTextContents()).toEqual(["The year"]);
    await page.reload();
    await expect.poll(() => titles.allTextContents()).toEqual(["The year"]);
  });

  it("shows nobody else's threads", async () => {
    const { page, ...chat } = await open();
    await chat.send("What can you do?");
    await chat.ended();
    const stranger = await open(["Failed to load resource: the server responded with a status of 404 (Not Found)"]);
    const list = await stranger.page.request.get(`${demo.url}/api/threads/get`);
    expect(await list.json()).toEqual({ threads: [] });
    await stranger.page.goto(page.url());
    await expect.poll(() => stranger.faults).toHaveLength(1);
    expect(await stranger.page.getByText("What can you do?").count()).toBe(0);
  });

  it("says so when its port is taken", async () => {
    await expect(npmStart({ PORT: new URL(demo.url).port, SQLITE_FILE: ":memory:" })).rejects.toThrow("is in use. Choose another one");
  });
});

/** Opens a chat that may see the expected faults and no others. */
async function open(expected: string[] = []): Promise<Chat> {
  const chat = await openChat(browser, demo.url);
  onTestFinished(async () => {
    await chat.close();
    expect(chat.faults).toEqual(expected);
  });
  return chat;
}

/** The messages of the only thread of a browser. */
const stored = async ({ owner }: Pick<Chat, "owner">): Promise<StoredMessage[]> => demo.stored(await owner());
