/** Checks after any fault of a turn: the response and the store agree, and a retry succeeds. */
import { expect } from "vitest";
import { type chatBody, type Chat, contentOf, summarize, readResponse, type ReceivedResponse } from "./chat.ts";
import { lastPrompt } from "./model-scripts.ts";

type ChatBody = ReturnType<typeof chatBody>;

/** What is expected after a turn. */
export interface Expected {
  /** The whole answer. */
  whole: string;
  /** Whether the fault may prevent the prompt from being stored. Never after a clean end. */
  promptMayBeMissing?: boolean;
  /** Whether the fault may prevent the partial answer from being stored. */
  partialMayBeMissing?: boolean;
}

/** Checks the store after a turn has ended: a clean end requires a stored, complete answer. */
export async function expectStoreMatchesResponse(chat: Chat, request: ChatBody, seen: ReceivedResponse, expected: Expected): Promise<void> {
  const { whole, promptMayBeMissing = false, partialMayBeMissing = false } = expected;
  const [prompt, answer, ...more] = await chat.listStored(request.threadId);
  expect(more).toEqual([]);
  if (prompt || !promptMayBeMissing) {
    expect(prompt).toMatchObject({ id: request.prompt.id, promptId: request.prompt.id, status: "complete" });
    expect(prompt?.message).toEqual({ role: "user", content: request.prompt.content });
  }
  if (answer) expect(answer).toMatchObject({ id: request.responseId, promptId: request.prompt.id, message: { role: "assistant" } });
  const content = contentOf(answer);
  if (seen.status === 200 && !seen.failed) {
    expect(seen.text).toBe(whole);
    expect(answer?.status).toBe("complete");
  }
  if (answer?.status === "complete") expect(content).toBe(whole);
  if (seen.status === 200) {
    expect(whole.startsWith(seen.text)).toBe(true);
    if (answer || !partialMayBeMissing) expect(content).toMatch(new RegExp(`^${RegExp.escape(seen.text)}`));
  }
  expect(whole.startsWith(content)).toBe(true);
}

/** Sends the same ids again: the answer must be complete, stored once after its prompt, and replayed without a model call. */
export async function expectRetrySucceeds(chat: Chat, request: ChatBody, whole: string): Promise<void> {
  const answer = { status: 200, text: whole, failed: false };
  expect(await readResponse(chat.post(request))).toEqual(answer);
  await chat.waitForTurns();
  const stored = [
    `user ${request.prompt.id} complete ${JSON.stringify(request.prompt.content)}`,
    `assistant ${request.responseId} complete ${JSON.stringify(whole)}`,
  ];
  expect(summarize(await chat.listStored(request.threadId))).toEqual(stored);
  const calls = countModelCalls(chat, request);
  expect(await readResponse(chat.post(request))).toEqual(answer);
  await chat.waitForTurns();
  expect(summarize(await chat.listStored(request.threadId))).toEqual(stored);
  expect(countModelCalls(chat, request)).toBe(calls);
}

/** The number of model calls for a prompt. */
export const countModelCalls = (chat: Chat, { prompt }: ChatBody): number =>
  chat.model.calls.filter(
    ({ body }) => lastPrompt(body) === (typeof prompt.content === "string" ? prompt.content : JSON.stringify(prompt.content)),
  ).length;

/** Runs a check for many cases, a few at a time. */
export async function forEachConcurrently<T>(cases: readonly T[], check: (value: T) => Promise<void>, atOnce = 8): Promise<void> {
  const left = [...cases];
  const work = async () => {
    for (let value = left.shift(); value !== undefined; value = left.shift()) {
      try {
        await check(value);
      } catch (error) {
        throw new Error(`In the case ${JSON.stringify(value).slice(0, 200)}: ${(error as Error).message}`, { cause: error });
      }
    }
  };
  await Promise.all(Array.from({ length: atOnce }, work));
}
