/** Coming back to an answer: from its beginning, and from a cursor. */
import { setTimeout as delay } from "node:timers/promises";
import { describe, expect, it } from "vitest";
import { type Chat, chatBody, expectError, readResponse, startChat, summarize, variants } from "../support/chat.ts";
import { answerAfter, answerThenStall, createGate, echoPrompt, neverAnswer } from "../support/model-scripts.ts";
import { failOnUnhandledErrors } from "../support/unhandled-errors.ts";

failOnUnhandledErrors();

const here = { threadId: "t", responseId: "r1" };

/** Sends a prompt, reads until some text has come, and disconnects. */
async function leaveAfter(chat: Chat, text: string, n = 1): Promise<{ cursor: string; attempt: string; text: string }> {
  const controller = new AbortController();
  const response = await chat.post(chatBody("Hi", n), { ...bodyOf(chatBody("Hi", n)), signal: controller.signal });
  const reader = response.body!.getReader();
  const decoder = new TextDecoder();
  let seen = "";
  let bytes = 0;
  while (seen.length < text.length) {
    const { value = new Uint8Array() } = await reader.read();
    bytes += value.length;
    seen += decoder.decode(value, { stream: true });
  }
  controller.abort();
  await reader.cancel().catch(() => {});
  const [attempt = ""] = (response.headers.get("X-Chat-Handler-Offset") ?? "").split("_");
  return { attempt, cursor: `${attempt}_${String(bytes).padStart(16, "0")}`, text: seen };
}

const bodyOf = (body: unknown) => ({ method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) });

describe.each(variants)("$name", ({ way }) => {
  it("follows a running answer from its beginning, beside its first reader", async () => {
    const gate = createGate();
    const chat = await startChat({ ...way, script: answerAfter([Promise.resolve(), "Grüße "], [gate.opened, "an alle."]) });
    const first = chat.post(chatBody("Hi"));
    await chat.model.call(0);
    const second = await chat.resume(here);
    expect(second.status).toBe(200);
    expect(second.headers.get("X-Chat-Handler-Response-Id")).toBe("r1");
    expect(second.headers.get("Cache-Control")).toBe("no-store, no-transform");
    expect(second.headers.get("X-Chat-Handler-Offset")).toBe((await first).headers.get("X-Chat-Handler-Offset"));
    gate.open();
    expect(await Promise.all([readResponse(first), readResponse(second)])).toEqual([
      { status: 200, text: "Grüße an alle.", failed: false },
      { status: 200, text: "Grüße an alle.", failed: false },
    ]);
    expect(chat.model.calls).toHaveLength(1);
  });

  it("continues from a cursor, and the two halves are the whole answer", async () => {
    const gate = createGate();
    const chat = await startChat({
      ...way,
      disconnect: { graceMs: 60_000 },
      script: answerAfter([Promise.resolve(), "Grüße "], [gate.opened, "an 😀 alle."]),
    });
    const { cursor, text } = await leaveAfter(chat, "Grüße ");
    const resumed = chat.resume({ ...here, offset: cursor });
    await delay(20);
    gate.open();
    const rest = await readResponse(resumed);
    expect(rest).toEqual({ status: 200, text: "an 😀 alle.", failed: false });
    expect((await resumed).headers.get("X-Chat-Handler-Offset")).toBe(cursor);
    await chat.waitForTurns();
    expect(summarize(await chat.listStored())[1]).toBe(`assistant r1 complete ${JSON.stringify(text + rest.text)}`);
    // And again, when the answer is only in the store.
    expect(await readResponse(chat.resume({ ...here, offset: cursor }))).toEqual(rest);
    expect(await readResponse(chat.resume(here))).toEqual({ ...rest, text: text + rest.text });
    expect(chat.model.calls).toHaveLength(1);
  });

  it("finds what runs on a thread without a response id", async () => {
    const gate = createGate();
    const chat = await startChat({ ...way, script: answerAfter([Promise.resolve(), "One "], [gate.opened, "two."]) });
    const first = chat.post(chatBody("Hi"));
    await chat.model.call(0);
    const resumed = await chat.resume({ threadId: "t" });
    expect(resumed.headers.get("X-Chat-Handler-Response-Id")).toBe("r1");
    gate.open();
    expect((await readResponse(resumed)).text).toBe("One two.");
    await readResponse(first);
    await chat.waitForTurns();
    expect((await chat.resume({ threadId: "t" })).status).toBe(204);
  });
});

it("answers 204 where nothing runs: unknown, stopped and failed answers, and other owners", async () => {
  const chat = await startChat({
    script: answerThenStall("Partial"),
    authorize: ({ request }) => ({ owner: request.headers.get("X-Owner") ?? "ada" }),
  });
  const empty = async (query: Record<string, string>, init?: RequestInit) => {
    const response = await chat.resume(query, init);
    expect([response.status, response.headers.get("Cache-Control"), await response.text()]).toEqual([204, "no-store", ""]);
  };
  await empty(here);
  await empty({ threadId: "t" });
  const { cursor } = await leaveAfter(chat, "Partial");
  await chat.waitForTurns();
  await empty(here);
  await empty({ ...here, offset: cursor });
  chat.model.always(echoPrompt);
  await readResponse(chat.post(chatBody("Hi", 2)));
  await empty({ threadId: "t", responseId: "r2" }, { headers: { "X-Owner": "bob" } });
  expect((await chat.resume({ threadId: "t", responseId: "r2" })).status).toBe(200);
});

it("refuses a cursor of another attempt with 410, and one past the end", async () => {
  const chat = await startChat({ script: answerThenStall("First") });
  const { cursor } = await leaveAfter(chat, "First");
  await chat.waitForTurns();
  chat.model.always(echoPrompt);
  const second = await chat.post(chatBody("Hi"));
  await readResponse(second);
  await expectError(await chat.resume({ ...here, offset: cursor }), 410, "cursor_gone");
  const attempt = second.headers.get("X-Chat-Handler-Offset")!.split("_")[0]!;
  const length = "Answer to Hi.".length;
  expect(await readResponse(chat.resume({ ...here, offset: `${attempt}_${length}` }))).toEqual({ status: 200, text: "", failed: false });
  await expectError(await chat.resume({ ...here, offset: `${attempt}_${length + 1}` }), 410, "cursor_gone");
  expect(chat.errors.map(({ code }) => code)).toEqual(["cursor_gone", "cursor_gone"]);
});

it.each([
  ["threadId", {}],
  ["threadId", { threadId: "" }],
  ["responseId", { threadId: "t", responseId: "\n" }],
  ["offset", { ...here, offset: "12" }],
  ["offset", { ...here, offset: "a_-1" }],
  ["offset", { ...here, offset: `a_${"1".repeat(17)}` }],
])("names a wrong %s", async (param, query) => {
  const chat = await startChat();
  expect((await expectError(await chat.resume(query as Record<string, string>), 400, "invalid_request")).param).toBe(param);
});

it("allows only GET, asks `admit` and `authorize`, and counts in the owner's quota", async () => {
  const chat = await startChat({
    script: neverAnswer,
    admit: ({ request }) => (request.headers.has("X-Bad") ? new Response(null, { status: 418 }) : undefined),
    authorize: ({ request, threadId, responseId, prompt }) =>
      request.headers.has("X-Out") ? Response.json({ threadId, responseId, prompt }, { status: 401 }) : { owner: "ada" },
    limits: { turnsPerOwner: 1 },
  });
  const response = await chat.resume(here, { method: "PUT" });
  await expectError(response, 405, "method_not_allowed");
  expect(response.headers.get("Allow")).toBe("GET");
  expect((await chat.resume(here, { headers: { "X-Bad": "1" } })).status).toBe(418);
  expect(await (await chat.resume(here, { headers: { "X-Out": "1" } })).json()).toEqual(here);
  // An empty answer gives its place back.
  for (let times = 0; times < 3; times++) expect((await chat.resume(here)).status).toBe(204);
  const controller = new AbortController();
  const running = chat.post("", { ...bodyOf(chatBody("Hi")), signal: controller.signal }).catch(() => {});
  await chat.model.call(0);
  await expectError(await chat.resume(here), 429, "too_many_turns");
  controller.abort();
  await running;
});
