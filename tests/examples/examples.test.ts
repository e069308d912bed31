import { randomUUID } from "node:crypto";
import { afterAll, beforeAll, describe, expect, inject, test } from "vitest";
import { testChatRoute, testResuming } from "../support/chat-route-suite.ts";
import { type ModelServer, startModelServer } from "../support/model-server.ts";
import { echoPrompt } from "../support/model-scripts.ts";
import { type Example, prepare, type Running } from "./example.ts";

/** The examples, and the routes that `extras` adds to their copies. */
const routes: Record<string, string[]> = {
  express: ["/api/chat"],
  hono: ["/api/chat"],
  next: ["/api/chat", "/api/edge", "/api/parsed", "/api/unparsed"],
  remix: ["/api/chat"],
  sveltekit: ["/api/chat"],
};

/** The examples that mount `resume` and `stop`, and how long they keep an answer that nobody reads. */
const resumable = ["hono", "next", "remix"];
const graceMs = 5_000;

describe.each(Object.keys(routes))("examples/%s", (name) => {
  let example: Example;
  let model: ModelServer;
  let running: Running;

  beforeAll(async () => {
    model = await startModelServer(echoPrompt);
    example = await prepare(name, inject("tarball"));
    running = await example.start({ THESYS_API_KEY: "sk-test", THESYS_BASE_URL: model.baseURL });
  });

  afterAll(async () => {
    await running?.stop();
    await model?.close();
    await example?.remove();
  });

  test("shows its page", async () => {
    expect(await (await fetch(running.url)).text()).toContain("<textarea");
  });

  describe.each(routes[name]!)("%s", (path) => {
    const route = () => ({ url: running.url + path, model });
    const isResumable = path === "/api/chat" && resumable.includes(name);
    testChatRoute(route, isResumable ? { graceMs } : {});
    if (isResumable) testResuming(route);

    test("refuses anything but a POST", async () => {
      expect((await fetch(running.url + path)).status).toBeGreaterThanOrEqual(400);
    });
  });

  // Not the pages API with its parser: there Next answers 413 itself, and resets the connection some seconds later.
  test.each(routes[name]!.filter((path) => path !== "/api/parsed"))("%s refuses a body that is too large", async (path) => {
    const response = await post(running.url + path, { pad: "x".repeat(1.5 * 1024 * 1024) });
    expect({ status: response.status, body: await response.json() }).toMatchObject({
      status: 413,
      body: { error: { code: "body_too_large" } },
    });
  });

  test("answers by the demo model without a key", async () => {
    const keyless = await example.start({ THESYS_API_KEY: "" });
    try {
      const response = await post(`${keyless.url}/api/chat`, {
        prompt: { id: randomUUID(), role: "user", content: "Compare the plans in a table" },
      });
      const pieces = await Array.fromAsync(response.body!.pipeThrough(new TextDecoderStream()));
      expect(pieces.length).toBeGreaterThan(3);
      expect(pieces.join("")).toMatch(/embedded demo model[\s\S]*Starter/);
    } finally {
      await keyless.stop();
    }
  });
});

function post(url: string, fields: object): Promise<Response> {
  return fetch(url, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ threadId: randomUUID(), responseId: randomUUID(), ...fields }),
  });
}
