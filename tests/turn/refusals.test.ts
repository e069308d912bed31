/** Failures before the first byte: a matching status, a JSON body, and nothing of the provider's message. */
import OpenAI from "openai";
import { describe, expect, it } from "vitest";
import { freePort } from "../services/service.ts";
import { chatBody, expectError, readResponse, startChat, variants } from "../support/chat.ts";
import { expectRetrySucceeds } from "../support/expectations.ts";
import { failOnUnhandledErrors } from "../support/unhandled-errors.ts";
import { finishEvent, neverAnswer, rejectWith, sendPieces, answerThenStall, textEvent } from "../support/model-scripts.ts";

failOnUnhandledErrors();

const upstream = {
  error: { message: "Incorrect API key provided: sk-secret-key. You are org-42.", type: "invalid_request_error", code: "invalid_api_key" },
};
const secrets = ["sk-secret-key", "org-42", "127.0.0.1", "invalid_api_key", "Incorrect"];

describe.each(variants)("$name", ({ way }) => {
  it.each([400, 401, 403, 404, 408, 409, 413, 422, 500, 502, 503, 529])("returns 502 for the provider's %d", async (status) => {
    const chat = await startChat(way);
    chat.model.next(rejectWith(status, upstream, { "Retry-After": "7" }));
    const response = await chat.post(chatBody("Hi"));
    expect(response.headers.get("Retry-After")).toBeNull();
    await expectNoSecret(response.clone());
    await expectError(response, 502, "model_failed");
    await chat.waitForTurns();
    // onError receives the cause.
    expect(chat.errors).toMatchObject([{ code: "model_failed", cause: { status } }]);
    expect((await chat.listStored()).map(({ id }) => id)).toEqual(["p1"]);
    await expectRetrySucceeds(chat, chatBody("Hi"), "Answer to Hi.");
  });

  it.each([
    ["7", "7"],
    ["Wed, 21 Oct 2026 07:28:00 GMT", "Wed, 21 Oct 2026 07:28:00 GMT"],
    ["sk-secret-key", null],
    ["-1", null],
    ["soon!", null],
    [undefined, null],
  ])("returns 429 for the provider's 429 with Retry-After: %s", async (given, passedOn) => {
    const chat = await startChat(way);
    chat.model.next(rejectWith(429, upstream, given === undefined ? {} : { "Retry-After": given }));
    const response = await chat.post(chatBody("Hi"));
    expect(response.headers.get("Retry-After")).toBe(passedOn);
    await expectNoSecret(response.clone());
    await expectError(response, 429, "rate_limited");
    await chat.waitForTurns();
    await expectRetrySucceeds(chat, chatBody("Hi"), "Answer to Hi.");
  });

  it.each([
    ["an HTML page", rejectWith(500, "<html>sk-secret-key</html>", { "Content-Type": "text/html" })],
    ["a status that is neither an error nor an answer", rejectWith(204, "")],
    ["an HTML page instead of an event stream", sendPage],
    ["a redirect to an unreachable server", rejectWith(302, "", { Location: "http://127.0.0.1:1/sk-secret-key" })],
  ])("returns 502 for %s", async (_, script) => {
    const chat = await startChat(way);
    chat.model.next(script);
    const response = await chat.post(chatBody("Hi"));
    await expectNoSecret(response.clone());
    await expectError(response, 502, "model_failed");
    await chat.waitForTurns();
    await expectRetrySucceeds(chat, chatBody("Hi"), "Answer to Hi.");
  });

  it("returns 502 if the provider cannot be reached", async () => {
    const client = new OpenAI({ apiKey: "sk-secret-key", baseURL: `http://127.0.0.1:${await freePort()}/v1`, maxRetries: 0 });
    const chat = await startChat({ ...way, client });
    const response = await chat.post(chatBody("Hi"));
    await expectNoSecret(response.clone());
    await expectError(response, 502, "model_failed");
    await chat.waitForTurns();
    expect((await chat.listStored()).map(({ id }) => id)).toEqual(["p1"]);
  });

  it("returns 504 if the model never answers, and closes its connection", async () => {
    const chat = await startChat({ ...way, timeouts: { firstChunk: 40 } });
    chat.model.next(neverAnswer);
    await expectError(await chat.post(chatBody("Hi")), 504, "model_timeout");
    await chat.model.calls[0]?.disconnected;
    await chat.waitForTurns();
    await expectRetrySucceeds(await startChat({ sharesStoreWith: chat }), chatBody("Hi"), "Answer to Hi.");
  });

  it("returns 504 if the model sends only headers", async () => {
    const chat = await startChat({ ...way, timeouts: { firstChunk: 40 } });
    chat.model.next(async (call) => {
      call.head();
      await call.closed;
    });
    await expectError(await chat.post(chatBody("Hi")), 504, "model_timeout");
    await chat.model.calls[0]?.disconnected;
    await chat.waitForTurns();
    await expectRetrySucceeds(await startChat({ sharesStoreWith: chat }), chatBody("Hi"), "Answer to Hi.");
  });

  it("returns 504 if the model sends only comments", async () => {
    const chat = await startChat({ ...way, timeouts: { firstChunk: 60 } });
    let isOver = false;
    chat.model.next(async (call) => {
      void call.closed.then(() => (isOver = true));
      while (!isOver) {
        await call.send(": still there\n\n");
        await new Promise((resolve) => setTimeout(resolve, 5));
      }
    });
    await expectError(await chat.post(chatBody("Hi")), 504, "model_timeout");
    await chat.waitForTurns();
    await expectRetrySucceeds(await startChat({ sharesStoreWith: chat }), chatBody("Hi"), "Answer to Hi.");
  });

  it("breaks the stream if the model is silent, stores the partial answer, and closes its connection", async () => {
    const chat = await startChat({ ...way, timeouts: { idle: 40 } });
    chat.model.next(answerThenStall("Half"));
    const seen = await readResponse(chat.post(chatBody("Hi")));
    expect(seen).toEqual({ status: 200, text: "Half", failed: true });
    await chat.model.calls[0]?.disconnected;
    await chat.waitForTurns();
    expect(chat.errors).toMatchObject([{ code: "model_timeout", status: 504 }]);
    expect((await chat.listStored())[1]).toMatchObject({ id: "r1", status: "failed", message: { content: "Half" } });
    await expectRetrySucceeds(await startChat({ sharesStoreWith: chat }), chatBody("Hi"), "Answer to Hi.");
  });

  it("breaks the stream if the whole turn takes too long, although the model keeps sending", async () => {
    const chat = await startChat({ ...way, timeouts: { turn: 500 } });
    let isOver = false;
    chat.model.next(async (call) => {
      void call.closed.then(() => (isOver = true));
      while (!isOver) {
        await call.send(textEvent("."));
        await new Promise((resolve) => setTimeout(resolve, 5));
      }
    });
    const seen = await readResponse(chat.post(chatBody("Hi")));
    expect(seen).toMatchObject({ status: 200, failed: true });
    await chat.model.calls[0]?.disconnected;
    await chat.waitForTurns();
    expect(chat.errors).toMatchObject([{ code: "turn_timeout", status: 504 }]);
    expect((await chat.listStored())[1]).toMatchObject({ id: "r1", status: "failed" });
    await expectRetrySucceeds(await startChat({ sharesStoreWith: chat }), chatBody("Hi"), "Answer to Hi.");
  });

  it("returns 504 if the whole turn takes too long before the first byte", async () => {
    const chat = await startChat({ ...way, timeouts: { turn: 40 } });
    chat.model.next(neverAnswer);
    await expectError(await chat.post(chatBody("Hi")), 504, "turn_timeout");
    await chat.model.calls[0]?.disconnected;
  });
});

it("waits for the usage after a finish reason, but not forever", async () => {
  const chat = await startChat({ timeouts: { idle: 10_000 } });
  chat.model.next(async (call) => {
    await call.send(textEvent("All."));
    await call.send('data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\n');
    await call.closed;
  });
  const started = performance.now();
  expect(await readResponse(chat.post(chatBody("Hi")))).toEqual({ status: 200, text: "All.", failed: false });
  expect(performance.now() - started).toBeLessThan(8_000);
  await chat.waitForTurns();
  expect((await chat.listStored())[1]?.status).toBe("complete");
});

it("waits equally long for the usage with a short idle timeout", async () => {
  const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));
  const chat = await startChat({ timeouts: { firstChunk: 1_000, idle: 1_000 } });
  chat.model.next(async (call) => {
    call.head();
    await pause(700);
    await call.send(textEvent("All.") + finishEvent());
    await pause(700);
    await call.send('data: {"choices":[],"usage":{"total_tokens":7}}\n\ndata: [DONE]\n\n');
  });
  expect((await readResponse(chat.post(chatBody("Hi")))).text).toBe("All.");
  await chat.waitForTurns();
  expect((await chat.listStored())[1]).toMatchObject({ status: "complete", usage: { total_tokens: 7 } });
});

it.each([
  ["comments", ": ping\n\n", 1_000],
  ["empty chunks", 'data: {"choices":[]}\n\n', 10_000],
  ["nothing", "", 1_000],
  ["an endless event", 'data: {"choices":[', 10_000],
])("completes an answer whose model keeps the connection open after its finish reason: with %s", async (_, keepAlive, idle) => {
  const chat = await startChat({ timeouts: { idle, turn: 6_000 } });
  chat.model.next(async (call) => {
    let isOver = false;
    void call.closed.then(() => (isOver = true));
    await call.send(textEvent("All."));
    await call.send('data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\n');
    while (!isOver) {
      if (keepAlive) await call.send(keepAlive);
      await Promise.race([call.closed, new Promise((resolve) => setTimeout(resolve, 200))]);
    }
  });
  expect(await readResponse(chat.post(chatBody("Hi")))).toEqual({ status: 200, text: "All.", failed: false });
  await chat.waitForTurns();
  expect((await chat.listStored())[1]?.status).toBe("complete");
});

it("lets the app's client retry", async () => {
  const chat = await startChat();
  const patient = await startChat({ client: chat.model.client({ maxRetries: 2 }) });
  chat.model.next(rejectWith(500, upstream, { "Retry-After-Ms": "1" }), rejectWith(503, upstream, { "Retry-After-Ms": "1" }));
  expect((await readResponse(patient.post(chatBody("Hi")))).text).toBe("Answer to Hi.");
  expect(chat.model.calls.length).toBe(3);
});

it("returns the same error to all clients of a turn", async () => {
  const chat = await startChat();
  chat.model.next(async (call) => {
    await new Promise((resolve) => setTimeout(resolve, 10));
    await rejectWith(500, upstream)(call);
  });
  for (const response of await Promise.all([chat.post(chatBody("Hi")), chat.post(chatBody("Hi"))]))
    await expectError(response, 502, "model_failed");
  await chat.waitForTurns();
  expect(chat.errors.length).toBe(1);
});

async function expectNoSecret(response: Response): Promise<void> {
  const all = `${await response.text()} ${[...response.headers].join()}`;
  for (const secret of secrets) expect(all).not.toContain(secret);
}

async function sendPage(call: Parameters<ReturnType<typeof sendPieces>>[0]): Promise<void> {
  call.head(200, { "Content-Type": "text/html" });
  await call.send("<html>sk-secret-key</html>");
}
