/** What one prompt may contain: every part counts, whatever its kind. */
import { describe, expect, it } from "vitest";
import { type ChatHandlerOptions, createChatHandler, createMemoryStore } from "../../src/index.ts";
import { createThreadHandler, type ThreadHandlerOptions } from "../../src/threads.ts";
import { chatBody, expectError, readResponse, startChat } from "../support/chat.ts";
import { startThreads } from "../threads/setup.ts";

const text = (content: string) => ({ type: "text", text: content });
const kinds: [kind: string, part: (content: string) => object][] = [
  ["text", text],
  ["image_url", (content) => ({ type: "image_url", image_url: { url: `https://${content}` } })],
  ["input_audio", (content) => ({ type: "input_audio", input_audio: { data: content, format: "wav" } })],
  ["file", (content) => ({ type: "file", file: { file_data: content, filename: "a.pdf" } })],
];

describe.each(kinds)("a part of kind %s", (kind, part) => {
  it("counts with all its text", async () => {
    const chat = await startChat({ limits: { promptCharacters: 1_000 } });
    expect((await readResponse(chat.post(chatBody([text("x"), part("x".repeat(900))])))).status).toBe(200);
    const error = await expectError(await chat.post(chatBody([text("x"), part("x".repeat(1_000))], 2)), 400, "invalid_request");
    expect(error).toMatchObject({ param: "prompt.content", message: "prompt.content must have at most 1000 characters." });
  });

  it("is refused if promptParts leaves it out, by both handlers", async () => {
    const promptParts = kinds.map(([other]) => other).filter((other) => other !== kind) as ChatHandlerOptions["promptParts"];
    const chat = await startChat({ promptParts });
    const content = [part("a")];
    await expectError(await chat.post(chatBody(content)), 400, "invalid_request");
    expect(chat.store.calls).toEqual([]);
    expect((await readResponse(chat.post(chatBody("Plain text")))).status).toBe(200);

    const threads = await startThreads("direct", { promptParts });
    const body = { messages: [{ id: "m", role: "user", content }] };
    await expectError(await threads.send("/create", { method: "POST", body }), 400, "invalid_request");
    expect(threads.store.calls).toEqual([]);
  });
});

it("refuses an image of 1 MB by default", async () => {
  const chat = await startChat();
  const image = { type: "image_url", image_url: { url: `data:image/png;base64,${"A".repeat(1_000_000)}` } };
  await expectError(await chat.post(chatBody([image])), 400, "invalid_request");
});

it("has at most limits.parts parts, and reads no part of a longer list", async () => {
  const chat = await startChat();
  const error = await expectError(await chat.post(chatBody(Array.from({ length: 33 }, () => null))), 400, "invalid_request");
  expect(error.message).toBe("prompt.content must have at most 32 parts.");
  expect((await readResponse(chat.post(chatBody(Array.from({ length: 32 }, () => text("x")))))).status).toBe(200);
  const threads = await startThreads("direct", { limits: { parts: 1 } });
  const body = { messages: [{ id: "m", role: "user", content: [text("a"), text("b")] }] };
  await expectError(await threads.send("/create", { method: "POST", body }), 400, "invalid_request");
});

it.each<[unknown]>([["text"], [["video"]], [[null]], [{}]])("fails at construction with promptParts: %j", (promptParts) => {
  const store = createMemoryStore();
  const client = { chat: { completions: { create: () => Promise.reject(new Error("never called")) } } };
  const remedy = /promptParts must be/;
  expect(() => createChatHandler({ store, client, model: "m", promptParts } as ChatHandlerOptions)).toThrow(remedy);
  expect(() => createThreadHandler({ store, authorize: () => ({ owner: "" }), promptParts } as ThreadHandlerOptions)).toThrow(remedy);
});
