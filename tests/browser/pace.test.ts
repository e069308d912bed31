/**
 * C1Chat draws a chunk only if 70 ms have passed since the chunk that it drew last, and draws nothing later. So what the model said must come at
 * C1Chat's pace, or the end of it stays invisible while the model pauses.
 */
import type { AddressInfo } from "node:net";
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { serve, type ServerType } from "@hono/node-server";
import { build } from "esbuild";
import { Hono } from "hono";
import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it, onTestFinished, vi } from "vitest";
import { createChatHandler, createMemoryStore } from "../../src/index.ts";
import { type ModelServer, startModelServer } from "../support/model-server.ts";
import { doneEvent, finishEvent, createGate, answerWith, textEvent } from "../support/model-scripts.ts";
import { type Chat, launchBrowser, openChat } from "./browser.ts";

let browser: Browser;
let model: ModelServer;
let server: ServerType;
let url: string;

beforeAll(async () => {
  // The Node server prints every body that errors.
  vi.spyOn(console, "error").mockImplementation(() => {});
  model = await startModelServer(answerWith("unused"));
  const chat = createChatHandler({ store: createMemoryStore(), client: model.client(), model: "test-model", onError() {} });
  const page = await bundlePage();
  const app = new Hono();
  app.get("/", (context) =>
    context.html('<!doctype html><link rel="icon" href="data:,"><div id="root"></div><script type="module" src="/page.js"></script>'),
  );
  app.get("/page.js", (context) => context.body(page, 200, { "Content-Type": "text/javascript" }));
  app.post("/api/chat", (context) => chat(context.req.raw));
  server = await new Promise<ServerType>((resolve) => {
    const listening: ServerType = serve({ fetch: app.fetch, port: 0, hostname: "127.0.0.1" }, ({ port }: AddressInfo) => {
      url = `http://127.0.0.1:${port}/`;
      resolve(listening);
    });
  });
  browser = await launchBrowser();
});

afterAll(async () => {
  await browser?.close();
  await model?.close();
  server?.close();
  vi.restoreAllMocks();
});

/** One card with one text, which streams in between. */
const opening =
  '<content thesys="true">{"component":{"component":"Card","props":{"children":[{"component":"TextContent","props":{"textMarkdown":"';
const closing = '"}}]}},"error":null}</content>';

describe("C1Chat shows", () => {
  it("all that the model said while the model pauses, twenty times", async () => {
    const chat = await open();
    const reads = await watchReads(chat.page);
    let lateRounds = 0;
    for (let round = 1; round <= 20; round++) {
      const pause = createGate();
      const words = Array.from({ length: 24 }, (_, index) => `word${round}x${index}`);
      model.next(async (call) => {
        await call.send(textEvent(opening));
        // Half a second, at a pace of its own in each round.
        for (const word of words) {
          await call.send(textEvent(`${word} `));
          await delay(13 + ((round * 7) % 17));
        }
        await Promise.race([pause.opened, call.closed]);
        await call.send(textEvent(`The end of ${round}.${closing}`) + finishEvent() + doneEvent);
      });
      await chat.send(`Round ${round}`);
      // The model goes on only afterwards: what is not drawn by itself never is.
      const isDrawn = await chat.answer
        .getByText(words.at(-1)!)
        .waitFor({ timeout: 5_000 })
        .then(
          () => true,
          () => false,
        );
      const drawn = ((await chat.answer.textContent()) ?? "").split(" ").filter((word) => word.startsWith("word"));
      // On a busy machine the browser itself may read two chunks within 70 ms, whatever the time between their writes.
      const isLate = !isDrawn && (await reads()).lastGap < 70;
      if (isLate) lateRounds++;
      expect(isLate ? words : drawn).toEqual(words);
      pause.open();
      await chat.answer.getByText(`The end of ${round}.`).waitFor();
      await chat.ended();
    }
    // With 50 ms between two writes it is half of the rounds.
    expect(lateRounds).toBeLessThan(5);
  });

  it("that an answer broke off before anything of it could be drawn", async () => {
    const chat = await open([/ERR_INCOMPLETE_CHUNKED_ENCODING/]);
    model.next(async (call) => {
      await call.send(textEvent('<content thesys="true">{"compo'));
      call.cut();
    });
    await chat.send("Break off early");
    await expect.poll(() => chat.answer.textContent(), { timeout: 20_000 }).toContain("Error while generating response");
    await chat.ended();
    await chat.picture("broken early");
  });

  it("the partial card of an answer that broke off later, with its last words", async () => {
    const rounds = 5;
    const chat = await open(Array.from({ length: rounds }, () => /ERR_INCOMPLETE_CHUNKED_ENCODING/));
    const reads = await watchReads(chat.page);
    let [lateRounds, missedRounds] = [0, 0];
    for (let round = 1; round <= rounds; round++) {
      const drawn = createGate();
      model.next(async (call) => {
        await call.send(textEvent(`${opening}The first ${round} `));
        await Promise.race([drawn.opened, call.closed]);
        for (const word of ["and ", "the ", "last ", String(round)]) await call.send(textEvent(word));
        call.cut();
      });
      await chat.send(`Break off late, ${round}`);
      await chat.answer.getByText(`The first ${round}`).waitFor();
      drawn.open();
      await chat.ended();
      const text = await chat.answer.textContent();
      expect(text).not.toContain("Error while generating response");
      if (text?.includes(`The first ${round} and the last ${round}`)) continue;
      // On a busy machine the browser itself may read the end right behind another chunk.
      if ((await reads()).lastGap < 70) lateRounds++;
      else missedRounds++;
    }
    expect(lateRounds).toBeLessThan(3);
    // Or it may be so busy once that it has not read the end when the connection breaks. Without a wait before that, it never has.
    expect(missedRounds).toBeLessThan(2);
    await chat.picture("broken late");
  });
});

/** Opens a chat that may see the expected faults and no others. */
async function open(expected: RegExp[] = []): Promise<Chat> {
  const chat = await openChat(browser, url);
  onTestFinished(async () => {
    await chat.close();
    expect(chat.faults).toEqual(expected.map((fault) => expect.stringMatching(fault)));
  });
  return chat;
}

/** Notes when the page reads a chunk. Returns a function that resolves to the milliseconds between the last two reads. */
async function watchReads(page: Page): Promise<() => Promise<{ lastGap: number }>> {
  await page.evaluate(() => {
    const { prototype } = ReadableStreamDefaultReader;
    const read = prototype.read;
    const times: number[] = [];
    prototype.read = async function (this: ReadableStreamDefaultReader) {
      const result = await read.call(this);
      times.push(Date.now());
      return result;
    };
    Object.assign(window, { readTimes: times });
  });
  return () =>
    page.evaluate(() => {
      const [before = 0, last = 0] = (window as unknown as { readTimes: number[] }).readTimes.slice(-2);
      return { lastGap: last - before };
    });
}

async function bundlePage(): Promise<string> {
  const { outputFiles } = await build({
    entryPoints: [fileURLToPath(new URL("pace-page.tsx", import.meta.url))],
    outdir: "/",
    write: false,
    bundle: true,
    format: "esm",
    jsx: "automatic",
    minify: true,
    define: { "process.env.NODE_ENV": '"production"' },
    loader: { ".css": "empty" },
    logLevel: "warning",
  });
  return outputFiles[0]!.text;
}
