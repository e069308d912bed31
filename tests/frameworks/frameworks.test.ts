/** The handler in each framework that passes Node's `(req, res)`, over HTTP. */
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { type ChatHandler, type ChatHandlerError, createChatHandler, createMemoryStore } from "../../src/index.ts";
import { testChatRoute } from "../support/chat-route-suite.ts";
import { type ModelServer, startModelServer } from "../support/model-server.ts";
import { echoPrompt } from "../support/model-scripts.ts";
import { readPages } from "../docs/markdown.ts";
import { compileSkippedSnippets } from "../docs/snippets.ts";
import { root, run } from "../package/pack.ts";
import { type App, apps, misMounted } from "./apps.ts";

const names = Object.keys(apps);
const { Request: NativeRequest, Response: NativeResponse } = globalThis;

describe.each(names)("%s", (name) => {
  const errors: ChatHandlerError[] = [];
  let model: ModelServer;
  let app: App;

  beforeAll(async () => {
    model = await startModelServer(echoPrompt);
    const onError = (error: ChatHandlerError) => void errors.push(error);
    app = await apps[name]!(createChatHandler({ client: model.client(), model: "test-model", store: createMemoryStore(), onError }));
  });

  afterAll(async () => {
    await app?.close();
    await model?.close();
  });

  testChatRoute(() => ({ url: `${app.origin}/api/chat`, model }));

  test("its mounting caused no error and replaced no globals", () => {
    expect(errors.filter(({ code }) => code === "body_already_read" || code === "internal")).toEqual([]);
    expect([globalThis.Request, globalThis.Response]).toEqual([NativeRequest, NativeResponse]);
  });
});

async function start(mount: (chat: ChatHandler) => Promise<App>): Promise<string> {
  const model = await startModelServer(echoPrompt);
  const chat = createChatHandler({ client: model.client(), model: "test-model", store: createMemoryStore(), onError() {} });
  const app = await mount(chat);
  onTestFinished(async () => {
    await app.close();
    await model.close();
  });
  return app.origin;
}

test.each(names.filter((name) => /compress|Nest on Express/.test(name)))("%s: its compression is on", async (name) => {
  const response = await fetch(`${await start(apps[name]!)}/long`, { headers: { "Accept-Encoding": "gzip" } });
  expect(response.headers.get("content-encoding")).toBe("gzip");
});

const express = "Express behind express.json() and compression(), in a router";
const large = JSON.stringify({ prompt: "x".repeat(1_500_000) });

test.each([
  [express, "a body above its limit", large, 413, "body_too_large"],
  [express, "a body that is not JSON", "{", 400, "invalid_json"],
  ["Fastify", "a body above its limit", large, 413, "body_too_large"],
  ["Fastify", "a body that is not JSON", "{", 400, "invalid_json"],
  ["Nest on Express", "a body above its limit", large, 413, "body_too_large"],
])("%s: the error of its body parser for %s becomes the handler's own", async (name, _, body, status, code) => {
  const headers = { "Content-Type": "application/json" };
  const response = await fetch(`${await start(apps[name]!)}/api/chat`, { method: "POST", headers, body });
  expect({ status: response.status, body: await response.json() }).toMatchObject({ status, body: { error: { code } } });
});

test("Express with @hono/node-server behind express.json(): the error names the fix", async () => {
  const origin = await start(misMounted);
  const headers = { "Content-Type": "application/json" };
  const response = await fetch(`${origin}/api/chat`, { method: "POST", headers, body: "{}" });
  expect({ status: response.status, text: await response.text() }).toMatchObject({
    status: 500,
    text: expect.stringContaining("toNodeHandler()"),
  });
});

test("the code blocks of the pages about frameworks compile", { timeout: 120_000 }, () => {
  const pages = readPages().filter(({ path }) => path.startsWith("docs/frameworks/"));
  const needy = pages.filter(({ blocks }) => blocks.some(({ info }) => info.startsWith("no-check: needs")));
  expect(needy.length).toBeGreaterThan(7);
  expect(compileSkippedSnippets(pages, import.meta.dirname, [join(import.meta.dirname, "globals.d.ts")])).toEqual([]);
});

test("the apps compile", { timeout: 120_000 }, async () => {
  await run(join(root, "node_modules/.bin/tsc"), ["-p", "tests/frameworks"], root);
});
