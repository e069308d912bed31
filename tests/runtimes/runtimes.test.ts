import { randomUUID } from "node:crypto";
import { createDemoModel } from "../../src/demo-model.ts";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import type { State } from "./app.ts";
import { startProgram, startWorkerd, type Server } from "./servers.ts";

const runtimes: [name: string, start: () => Promise<Server>][] = [
  ["Node", () => startProgram("node")],
  ["Bun", () => startProgram("bun")],
  ["Deno", () => startProgram("deno")],
  ["workerd", startWorkerd],
];

/** The demo model's answer to a prompt. */
async function answerTo(content: string): Promise<string> {
  const body = JSON.stringify({ model: "demo", messages: [{ role: "user", content }] });
  const response = await createDemoModel({ format: "text", tokensPerSecond: 0 })("http://demo.invalid/v1/chat/completions", {
    method: "POST",
    body,
  });
  const completion: { choices: [{ message: { content: string } }] } = JSON.parse(await response.text());
  return completion.choices[0].message.content;
}

describe.each(runtimes)("on %s", (name, start) => {
  let server: Server;

  beforeAll(async () => {
    server = await start();
  });

  afterAll(() => server?.stop());

  const send = (body: unknown, init: RequestInit = {}): Promise<Response> =>
    fetch(new URL("/chat", server.url), {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: typeof body === "string" ? body : JSON.stringify(body),
      ...init,
    });

  const turnOf = (content: string, threadId: string = randomUUID()) => ({
    prompt: { id: randomUUID(), role: "user", content },
    threadId,
    responseId: randomUUID(),
  });

  const state = async (threadId = ""): Promise<State> => {
    const response = await fetch(new URL(`/state?threadId=${threadId}`, server.url));
    const found: State = JSON.parse(await response.text());
    return found;
  };

  test("a whole turn arrives byte for byte, and is stored", async () => {
    const turn = turnOf("Show me a table");
    const response = await send(turn);
    expect(response.status).toBe(200);
    expect(Object.fromEntries(response.headers)).toMatchObject({
      "content-type": "text/event-stream; charset=utf-8",
      "cache-control": "no-store, no-transform",
      "x-accel-buffering": "no",
      "x-content-type-options": "nosniff",
    });
    const answer = await answerTo("Show me a table");
    expect(await response.text()).toBe(answer);
    expect((await state(turn.threadId)).messages).toEqual([
      { role: "user", content: "Show me a table", status: "complete" },
      { role: "assistant", content: answer, status: "complete" },
    ]);
  });

  test("the first text arrives long before the last", async () => {
    const response = await send(turnOf("Tell me a long story"));
    const arrivals: number[] = [];
    const reader = response.body!.getReader();
    while (!(await reader.read()).done) arrivals.push(performance.now());
    expect(arrivals.length).toBeGreaterThan(10);
    expect(arrivals.at(-1)! - arrivals[0]!).toBeGreaterThan(500);
  });

  test("a disconnect ends the model call, and the partial answer is stored", async () => {
    const before = await state();
    const turn = turnOf("Tell me a long story");
    const leaving = new AbortController();
    const response = await send(turn, { signal: leaving.signal });
    const reader = response.body!.getReader();
    await reader.read();
    leaving.abort();
    await vi.waitFor(
      async () => {
        const { aborted, messages } = await state(turn.threadId);
        expect(aborted).toBe(before.aborted + 1);
        expect(messages).toMatchObject([{ role: "user" }, { role: "assistant", status: "stopped" }]);
      },
      { timeout: 10_000, interval: 50 },
    );
    const { messages } = await state(turn.threadId);
    const whole = await answerTo("Tell me a long story");
    expect(messages[1]?.content).not.toBe("");
    expect(whole.startsWith(String(messages[1]?.content))).toBe(true);
  });

  test("the model call ends when the last of two clients disconnects", async () => {
    const before = await state();
    const turn = turnOf("Tell me a long story");
    const begin = async () => {
      const leaving = new AbortController();
      const reader = (await send(turn, { signal: leaving.signal })).body!.getReader();
      await reader.read();
      return { leaving, reader };
    };
    const first = await begin();
    const joined = await begin();
    first.leaving.abort();
    for (let reads = 0; reads < 3; reads++) expect((await joined.reader.read()).done).toBe(false);
    expect((await state()).aborted).toBe(before.aborted);
    joined.leaving.abort();
    await vi.waitFor(
      async () => {
        const { aborted, messages } = await state(turn.threadId);
        expect(messages).toMatchObject([{ role: "user" }, { role: "assistant", status: "stopped" }]);
        expect(aborted).toBe(before.aborted + 1);
      },
      { timeout: 10_000, interval: 50 },
    );
  });

  test("a second reader resumes the answer, from its beginning and from a cursor", async () => {
    const turn = turnOf("Tell me a long story");
    const response = await send(turn);
    const reader = response.body!.getReader();
    await reader.read();
    const { threadId, responseId } = turn;
    const resume = (query: object) => fetch(new URL(`/resume?${new URLSearchParams({ threadId, ...query })}`, server.url));
    const fromStart = await resume({});
    expect(decodeURIComponent(fromStart.headers.get("X-Chat-Handler-Response-Id")!)).toBe(responseId);
    const cursor = fromStart.headers.get("X-Chat-Handler-Offset")!.replace(/\d{5}$/, "00010");
    const whole = await answerTo("Tell me a long story");
    const rest = new TextDecoder().decode(new TextEncoder().encode(whole).slice(10));
    const texts = [fromStart, await resume({ responseId, offset: cursor })].map((resumed) => resumed.text());
    while (!(await reader.read()).done);
    expect(await Promise.all(texts)).toEqual([whole, rest]);
    expect((await resume({})).status).toBe(204);
    expect(await (await resume({ responseId })).text()).toBe(whole);
  });

  test("a stop ends the model call, and the partial answer is stored by then", async () => {
    const before = await state();
    const turn = turnOf("Tell me a long story");
    const response = await send(turn);
    const reader = response.body!.getReader();
    await reader.read();
    const { threadId, responseId } = turn;
    const init = { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify({ threadId, responseId }) };
    expect((await fetch(new URL("/stop", server.url), init)).status).toBe(204);
    const { aborted, messages } = await state(threadId);
    expect(messages).toMatchObject([{ role: "user" }, { role: "assistant", status: "stopped" }]);
    expect(aborted).toBe(before.aborted + 1);
    await reader.cancel().catch(() => {});
  });

  test('with "continue", the answer is finished and stored for nobody', async () => {
    const turn = turnOf("Show me a table");
    const leaving = new AbortController();
    const url = new URL("/chat?disconnect=continue", server.url);
    const init = { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(turn) };
    const response = await fetch(url, { ...init, signal: leaving.signal });
    await response.body!.getReader().read();
    leaving.abort();
    const answer = await answerTo("Show me a table");
    await vi.waitFor(async () => expect((await state(turn.threadId)).messages[1]).toMatchObject({ content: answer, status: "complete" }), {
      timeout: 30_000,
      interval: 50,
    });
  });

  test("a retry replays the answer without a model call", async () => {
    const turn = turnOf("Hello");
    const answer = await (await send(turn)).text();
    const { calls } = await state();
    const again = await send(turn);
    expect(await again.text()).toBe(answer);
    expect((await state()).calls).toBe(calls);
  });

  test("two simultaneous requests with the same ids cause one model call", async () => {
    const { calls } = await state();
    const turn = turnOf("Show me a card");
    const answers = await Promise.all([send(turn), send(turn)].map(async (response) => (await response).text()));
    const answer = await answerTo("Show me a card");
    expect(answers).toEqual([answer, answer]);
    expect((await state()).calls).toBe(calls + 1);
  });

  test("simultaneous prompts of one thread are answered one after the other", async () => {
    const threadId = randomUUID();
    const prompts = ["Hello", "Show me a form", "Show me a card"];
    const answers = await Promise.all(prompts.map(async (content) => (await send(turnOf(content, threadId))).text()));
    const { messages } = await state(threadId);
    expect(messages.map(({ role }) => role)).toEqual(["user", "assistant", "user", "assistant", "user", "assistant"]);
    for (const [index, content] of prompts.entries()) {
      const promptIndex = messages.findIndex((message) => message.content === content);
      expect(messages[promptIndex + 1]?.content).toBe(answers[index]);
    }
  });

  test.each([
    ["a body that is not JSON", { body: "{" }, 400, "invalid_json"],
    ["a body without a prompt", { body: "{}" }, 400, "invalid_request"],
    ["a content type that is not JSON", { headers: { "Content-Type": "text/plain" } }, 415, "unsupported_media_type"],
    ["another method", { method: "PUT" }, 405, "method_not_allowed"],
    ["a body that is too large", { body: JSON.stringify({ pad: "x".repeat(1024 * 1024) }) }, 413, "body_too_large"],
  ])("%s is rejected with its status", async (_fault, init: RequestInit, status, code) => {
    const response = await send(turnOf("Hello"), init);
    expect(response.status).toBe(status);
    expect(response.headers.get("content-type")).toMatch(/^application\/json/);
    expect(response.headers.get("allow")).toBe(status === 405 ? "POST" : null);
    expect(JSON.parse(await response.text())).toMatchObject({ error: { code } });
  });

  test("a failing model causes 502", async () => {
    const response = await send(turnOf("fail"));
    expect(response.status).toBe(502);
    expect(JSON.parse(await response.text())).toMatchObject({ error: { code: "model_failed" } });
  });

  test("a broken model call breaks the stream, and the partial answer is stored", async () => {
    const turn = turnOf("break");
    const response = await send(turn);
    const ending = await response.text().then(
      () => "clean",
      () => "broken",
    );
    // Older versions of workerd end a failed body as if it were complete (cloudflare/workerd#6818), newer ones break it.
    const isWorkerd = name === "workerd";
    if (isWorkerd) console.info(`This workerd ends a failed body as ${ending}.`);
    expect(isWorkerd ? ["clean", "broken"] : ["broken"]).toContain(ending);
    expect((await state(turn.threadId)).messages).toMatchObject([{ role: "user" }, { role: "assistant", status: "failed" }]);
  });
});
