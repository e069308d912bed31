/** The demo over every database: nothing is lost when the page or the server restarts. */
import type { Browser } from "playwright-core";
import { afterAll, beforeAll, expect, it, onTestFinished } from "vitest";
import { describeWith, remedyFor, type Variable } from "../services/include.ts";
import { launchBrowser, openChat } from "./browser.ts";
import { type Database, openMysql, openPostgres, openRedis, openSqliteFile } from "./databases.ts";
import { startDemo } from "./demo-server.ts";

const { DATABASE_URL = "", MYSQL_URL = "", REDIS_URL = "" } = process.env;

const databases: { name: string; variable?: Variable; isThere: boolean; open: () => Promise<Database> }[] = [
  { name: "a SQLite file", isThere: true, open: openSqliteFile },
  { name: "PostgreSQL", variable: "DATABASE_URL", isThere: DATABASE_URL !== "", open: () => openPostgres(DATABASE_URL) },
  { name: "MySQL", variable: "MYSQL_URL", isThere: MYSQL_URL !== "", open: () => openMysql(MYSQL_URL) },
  { name: "Redis", variable: "REDIS_URL", isThere: REDIS_URL !== "", open: () => openRedis(REDIS_URL) },
];

let browser: Browser;

beforeAll(async () => {
  browser = await launchBrowser();
});

afterAll(() => browser?.close());

for (const { name, variable, isThere, open } of databases) {
  const remedy = variable ? remedyFor(variable, "npm run test:browser") : "";
  describeWith(
    `the demo over ${name}`,
    isThere,
    remedy,
  )(`the demo over ${name}${isThere ? "" : ` (${remedy})`}`, () => {
    it("has its threads and what was filled in after a reload and after a restart of the server", async () => {
      const database = await open();
      const demo = await startDemo(database);
      onTestFinished(demo.close);
      const { page, titles, answer, ...chat } = await openChat(browser, demo.url);
      onTestFinished(async () => {
        const owner = await chat.owner();
        await chat.close();
        await database.store.deleteOwner(owner);
      });

      await chat.send("Give me a contact form");
      await answer.getByRole("button", { name: "Send it" }).waitFor();
      await chat.ended();
      await page.getByPlaceholder("Ada Lovelace").fill('Grace <b> & "Co"');
      await page.getByText("Pick one").click();
      await page.getByRole("option", { name: "Support" }).click();
      await expect.poll(async () => JSON.stringify(await demo.stored(await chat.owner()))).toContain("Support");

      for (const happens of [() => page.reload(), () => demo.restart().then(() => page.reload())]) {
        await happens();
        await answer.getByRole("button", { name: "Send it" }).waitFor();
        await expect.poll(() => page.getByPlaceholder("Ada Lovelace").inputValue()).toBe('Grace <b> & "Co"');
        expect(await titles.allTextContents()).toEqual(["Give me a contact form"]);
      }
      await chat.picture(`form over ${name}`);

      await page.getByRole("button", { name: "New Chat" }).click();
      await chat.send("Compare the plans in a table");
      await answer.getByRole("cell", { name: "Mail, within a day" }).waitFor();
      await chat.ended();
      await expect.poll(() => titles.allTextContents()).toEqual(["Compare the plans in a table", "Give me a contact form"]);
      await titles.last().click();
      await answer.getByRole("button", { name: "Send it" }).click();
      await answer.getByRole("cell", { name: 'Grace <b> & "Co"' }).waitFor();
      await answer.getByRole("cell", { name: "Support" }).waitFor();
      await chat.ended();
      expect(chat.faults).toEqual([]);
    });
  });
}
