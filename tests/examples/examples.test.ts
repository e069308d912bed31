import { randomUUID } from "node:crypto";
import { afterAll, beforeAll, describe, expect, inject, test } from "vitest";
import { type ModelServer, startModelServer } from "../support/model-server.ts";
import { answers, answerTo, gate, hangs, saysAfter, stalls } from "../support/scripts.ts";
import { type Example, prepare, type Running } from "./example.ts";

/** In milliseconds, with room for a busy machine; the handler gives up a silent model only after a minute. */
const soon = 5_000;

describe.each(["hono", "next", "remix"])("examples/%s", (name) => {
  let example: Example;
  let model: ModelServer;
  let running: Running;

  beforeAll(async () => {
    model = await startModelServer(answers);
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

  test("keeps the thread from turn to turn", async () => {
    const threadId = randomUUID();
    expect(await (await send(running, "One", { threadId })).text()).toBe(answerTo("One"));
    expect(await (await send(running, "Two", { threadId })).text()).toBe(answerTo("Two"));
    const messages = model.calls.at(-1)?.body.messages.map(({ content }) => content);
    expect(messages).toEqual(["One", answerTo("One"), "Two"]);
  });

  test("shows the first token before the answer ends", async () => {
    const rest = gate();
    model.next(saysAfter([Promise.resolve(), "First"], [rest.opened, ", and the rest."]));
    const response = await send(running, "Hello");
    expect(response.headers.get("content-type")).toBe("text/event-stream; charset=utf-8");
    const reader = response.body!.pipeThrough(new TextDecoderStream()).getReader();
    expect(await reader.read()).toEqual({ done: false, value: "First" });
    rest.open();
    expect(await reader.read()).toEqual({ done: false, value: ", and the rest." });
    expect((await reader.read()).done).toBe(true);
  });

  test("ends the model call of a client that leaves in the middle of the answer", async () => {
    model.next(stalls("Once upon a time"));
    const number = model.calls.length;
    const client = new AbortController();
    const response = await send(running, "A story", {}, client.signal);
    await response.body!.getReader().read();
    const call = await model.call(number);
    const leaving = performance.now();
    client.abort();
    expect((await call.left) - leaving).toBeLessThan(soon);
  });

  test("ends the model call of a client that leaves before the first token", async () => {
    model.next(hangs);
    const number = model.calls.length;
    const client = new AbortController();
    const response = send(running, "A story", {}, client.signal);
    const call = await model.call(number);
    const leaving = performance.now();
    client.abort();
    await expect(response).rejects.toThrow("abort");
    expect((await call.left) - leaving).toBeLessThan(soon);
  });

  test("refuses anything but a POST with JSON", async () => {
    const form = new URLSearchParams({ prompt: "Hello" });
    expect((await fetch(`${running.url}/api/chat`, { method: "POST", body: form })).status).toBe(415);
    expect((await fetch(`${running.url}/api/chat`)).status).toBeGreaterThanOrEqual(400);
  });

  test("answers by the demo model without a key", async () => {
    const keyless = await example.start({ THESYS_API_KEY: "" });
    try {
      const response = await send(keyless, "Compare the plans in a table");
      const pieces = await Array.fromAsync(response.body!.pipeThrough(new TextDecoderStream()));
      expect(pieces.length).toBeGreaterThan(3);
      expect(pieces.join("")).toMatch(/embedded demo model[\s\S]*Starter/);
    } finally {
      await keyless.stop();
    }
  });
});

/** Sends a turn as a browser does. */
function send({ url }: Running, content: string, ids: { threadId?: string } = {}, signal: AbortSignal | null = null): Promise<Response> {
  return fetch(`${url}/api/chat`, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ prompt: { id: randomUUID(), role: "user", content }, threadId: randomUUID(), responseId: randomUUID(), ...ids }),
    signal,
  });
}
