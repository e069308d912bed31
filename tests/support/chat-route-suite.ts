/** Tests of a chat route over HTTP, for every place where it can be mounted. */
import { randomUUID } from "node:crypto";
import { expect, test } from "vitest";
import type { ModelServer, Script } from "./model-server.ts";
import {
  echoPrompt,
  echoOf,
  finishEvent,
  createGate,
  neverAnswer,
  lastPrompt,
  answerWith,
  answerAfter,
  answerThenStall,
  textEvent,
} from "./model-scripts.ts";

/** A mounted route and the model behind it. */
export interface ChatRoute {
  /** The URL of the route. */
  url: string;
  model: ModelServer;
}

/** In milliseconds, long enough for a busy machine. The timeout of a silent model is a minute. */
const soon = 5_000;

/** Characters of one to four bytes, more than one network write can hold. */
const longAnswer = "aä€😀".repeat(20_000);

function sendTo({ url }: ChatRoute, content: unknown, ids: object = {}, signal: AbortSignal | null = null): Promise<Response> {
  const turn = { prompt: { id: randomUUID(), role: "user", content }, threadId: randomUUID(), responseId: randomUUID(), ...ids };
  const headers = { "Content-Type": "application/json", "Accept-Encoding": "gzip, br, deflate" };
  return fetch(url, { method: "POST", headers, body: JSON.stringify(turn), signal });
}

/** Registers the tests of a route that resumes for GET, and stops below it. */
export function testResuming(route: () => ChatRoute): void {
  test("a second request follows a running answer, and a third one stops it for both", async () => {
    const { model, url } = route();
    model.next(answerThenStall("Once upon a time"));
    const number = model.calls.length;
    const ids = { threadId: randomUUID(), responseId: randomUUID() };
    const texts = (response: Response) => response.body!.pipeThrough(new TextDecoderStream()).getReader();
    const first = texts(await sendTo(route(), "A story", ids));
    expect((await first.read()).value).toBe("Once upon a time");
    const second = texts(await fetch(`${url}?${new URLSearchParams(ids)}`));
    expect((await second.read()).value).toBe("Once upon a time");
    const call = await model.call(number);
    const headers = { "Content-Type": "application/json" };
    expect((await fetch(`${url}/stop`, { method: "POST", headers, body: JSON.stringify(ids) })).status).toBe(204);
    await call.disconnected;
    for (const reader of [first, second]) await expect(reader.read()).rejects.toThrow("terminated");
    expect((await fetch(`${url}?${new URLSearchParams(ids)}`)).status).toBe(204);
  });
}

/**
 * Registers the tests of a route. `route` is called when they run.
 *
 * @param options.graceMs - How long the route keeps a turn without readers, in milliseconds.
 */
export function testChatRoute(route: () => ChatRoute, { graceMs = 0 }: { graceMs?: number } = {}): void {
  const send = (content: unknown, ids?: object, signal?: AbortSignal): Promise<Response> => sendTo(route(), content, ids, signal);
  const expectEndOfGrace = (elapsed: number) => {
    expect(elapsed).toBeGreaterThan(0.9 * graceMs);
    expect(elapsed).toBeLessThan(graceMs + soon);
  };

  test("the first token arrives before the answer ends", async () => {
    const rest = createGate();
    route().model.next(answerAfter([Promise.resolve(), "First"], [rest.opened, ", and the rest."]));
    const response = await send("Hello");
    expect(response.status).toBe(200);
    expect(response.headers.get("content-type")).toBe("text/event-stream; charset=utf-8");
    const reader = response.body!.pipeThrough(new TextDecoderStream()).getReader();
    expect(await reader.read()).toEqual({ done: false, value: "First" });
    rest.open();
    expect(await reader.read()).toEqual({ done: false, value: ", and the rest." });
    expect((await reader.read()).done).toBe(true);
  });

  test("a long answer arrives byte for byte", async () => {
    const middle = Math.floor(longAnswer.length / 2);
    route().model.next(answerWith(longAnswer.slice(0, middle), longAnswer.slice(middle)));
    expect((await (await send("Hello")).text()) === longAnswer).toBe(true);
  });

  test("a client that disconnects in mid-stream ends the model call", async () => {
    const { model } = route();
    model.next(answerThenStall("Once upon a time"));
    const number = model.calls.length;
    const client = new AbortController();
    const response = await send("A story", {}, client.signal);
    await response.body!.getReader().read();
    const call = await model.call(number);
    const leaving = performance.now();
    client.abort();
    expectEndOfGrace((await call.disconnected) - leaving);
  });

  test("a client that disconnects before the first token ends the model call", async () => {
    const { model } = route();
    model.next(neverAnswer);
    const number = model.calls.length;
    const client = new AbortController();
    const response = send("A story", {}, client.signal);
    const call = await model.call(number);
    const leaving = performance.now();
    client.abort();
    await expect(response).rejects.toThrow("abort");
    expectEndOfGrace((await call.disconnected) - leaving);
  });

  test("a broken answer breaks the stream, and a retry is complete", async () => {
    const seen = createGate();
    const breaksOff: Script = async (call) => {
      await call.send(textEvent("A part"));
      await seen.opened;
      call.cut();
    };
    route().model.next(breaksOff);
    const ids = { prompt: { id: randomUUID(), role: "user", content: "Hello" }, threadId: randomUUID(), responseId: randomUUID() };
    const reader = (await send("", ids)).body!.pipeThrough(new TextDecoderStream()).getReader();
    expect((await reader.read()).value).toBe("A part");
    seen.open();
    await expect(reader.read()).rejects.toThrow("terminated");
    expect(await (await send("", ids)).text()).toBe(echoOf("Hello"));
  });

  test("a second turn sends the first one to the model", async () => {
    const threadId = randomUUID();
    expect(await (await send("One", { threadId })).text()).toBe(echoOf("One"));
    expect(await (await send("Two", { threadId })).text()).toBe(echoOf("Two"));
    const messages = route()
      .model.calls.at(-1)
      ?.body.messages.map(({ content }) => content);
    expect(messages).toEqual(["One", echoOf("One"), "Two"]);
  });

  test("the same ids get a replay without a model call", async () => {
    const { model } = route();
    const ids = { prompt: { id: randomUUID(), role: "user", content: "Hello" }, threadId: randomUUID(), responseId: randomUUID() };
    const answer = await (await send("", ids)).text();
    const calls = model.calls.length;
    expect(await (await send("", ids)).text()).toBe(answer);
    expect(model.calls.length).toBe(calls);
  });

  test("a client error arrives with its status and body", async () => {
    const response = await send(7);
    expect({ status: response.status, type: response.headers.get("content-type") }).toEqual({
      status: 400,
      type: expect.stringMatching(/^application\/json/),
    });
    expect(await response.json()).toMatchObject({
      error: { type: "invalid_request_error", code: "invalid_request", param: "prompt.content" },
    });
    const form = await fetch(route().url, {
      method: "POST",
      headers: { Accept: "*/*" },
      body: new Blob(["prompt=Hi"], { type: "text/x-form" }),
    });
    // Some frameworks reject the media type before the handler can.
    expect({ status: form.status, body: await form.text() }).toEqual({
      status: 415,
      body: expect.stringMatching(/application\/json|Unsupported Media Type/),
    });
  });

  test("a failing model causes an error status with a body", async () => {
    route().model.next((call) => call.head(400)); // the client does not retry it
    const response = await send("Hello");
    expect({ status: response.status, body: await response.json() }).toMatchObject({
      status: 502,
      body: { error: { code: "model_failed" } },
    });
  });

  test("100 answers stream at once", async () => {
    const { model } = route();
    const all = createGate();
    let arrived = 0;
    model.always(async (call) => {
      await call.send(textEvent("Answer to "));
      if (++arrived === 100) all.open();
      await all.opened;
      await call.send(textEvent(`${lastPrompt(call.body)}.`) + finishEvent());
    });
    try {
      const prompts = Array.from({ length: 100 }, (_, n) => `prompt ${n}`);
      const texts = await Promise.all(prompts.map(async (prompt) => (await send(prompt)).text()));
      expect(texts).toEqual(prompts.map(echoOf));
    } finally {
      model.always(echoPrompt);
    }
  });
}
