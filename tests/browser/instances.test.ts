/** Two demos behind one page, over Redis and over PostgreSQL. The one that writes the answer is killed. */
import type { Browser } from "playwright-core";
import { afterAll, beforeAll, expect, it } from "vitest";
import { describeWith, remedyFor, type Variable } from "../services/include.ts";
import { answerWith } from "../support/model-scripts.ts";
import { startModelServer } from "../support/model-server.ts";
import { startBalancer } from "./balancer.ts";
import { launchBrowser, openChat, openTab } from "./browser.ts";
import { type Database, openPostgres, openRedis } from "./databases.ts";
import { build, startBuilt, stop } from "./demo-server.ts";
import { createStory, tellAll } from "./story.ts";

const { DATABASE_URL = "", REDIS_URL = "" } = process.env;

const databases: { name: string; variable: Variable; url: string; open: (url: string) => Promise<Database> }[] = [
  { name: "Redis", variable: "REDIS_URL", url: REDIS_URL, open: openRedis },
  { name: "PostgreSQL", variable: "DATABASE_URL", url: DATABASE_URL, open: openPostgres },
];

let browser: Browser;

beforeAll(async () => {
  await build();
  browser = await launchBrowser();
});

afterAll(() => browser?.close());

for (const { name, variable, url, open } of databases) {
  const remedy = remedyFor(variable, "npm run test:browser");
  const title = `two servers over ${name}`;
  describeWith(title, url !== "", remedy)(`${title}${url ? "" : ` (${remedy})`}`, { concurrent: true }, () => {
    it("show one answer, survive that its server is killed, and make it whole", async ({ onTestFinished }) => {
      const database = await open(url);
      onTestFinished(database.close);
      const model = await startModelServer(answerWith("unused"));
      onTestFinished(model.close);
      const env = { ...database.env, PORT: "0", THESYS_API_KEY: "sk-test", THESYS_BASE_URL: model.baseURL };
      const [writer, other] = [await startBuilt(env), await startBuilt(env)];
      onTestFinished(async () => void (await Promise.all([stop(writer.process), stop(other.process)])));
      const balancer = await startBalancer(writer.url);
      onTestFinished(balancer.close);
      const chat = await openChat(browser, balancer.url);
      onTestFinished(async () => {
        const owner = await chat.owner();
        await chat.close();
        await database.store.deleteOwner(owner);
      });

      const story = createStory("Once");
      model.next(story.script);
      await chat.send("A story");
      await chat.answer.getByText("Once").waitFor();
      const second = await openTab(chat.page.context(), chat.page.url());
      await second.answer.getByText("Once").waitFor();
      balancer.target = other.url;
      await second.page.reload();
      await second.answer.getByText("Once").waitFor();
      await second.stopButton.waitFor();
      story.tell("upon");
      for (const tab of [chat, second]) await tab.answer.getByText("upon").waitFor();

      await stop(writer.process, "SIGKILL");
      for (const tab of [chat, second]) {
        await tab.page.getByRole("alert").getByText("This answer broke off.").waitFor();
        expect(await tab.answer.textContent()).toContain("upon");
      }
      await chat.picture(`server killed over ${name}`);

      model.next(tellAll("The whole story."));
      for (const tab of [chat, second]) {
        await tab.page.getByRole("button", { name: "Try again" }).click();
        await tab.answer.getByText("The end.").waitFor();
        await tab.ended();
        expect(await tab.answers.count()).toBe(1);
        expect(await tab.answer.textContent()).not.toContain("Once");
        expect(await tab.page.getByRole("alert").count()).toBe(0);
      }
      await second.picture(`retried over ${name}`);
      // The second tab was answered with the answer of the first.
      expect(model.calls).toHaveLength(2);
      const owner = await chat.owner();
      const [thread] = (await database.store.listThreads(owner, { limit: 2 })).threads;
      const stored = await database.store.listMessages({ owner, threadId: thread?.threadId ?? "" });
      expect(stored.map(({ message, status }) => [message.role, status])).toEqual([
        ["user", "complete"],
        ["assistant", "complete"],
      ]);
      for (const fault of chat.faults) expect(fault).toMatch(/ERR_INCOMPLETE_CHUNKED_ENCODING|50[23]/);
    });
  });
}
