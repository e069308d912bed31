/** What must hold whatever happened to a turn: what the client saw and what is stored agree, and the same ids again heal it. */
import { expect } from "vitest";
import { type ask, type Chat, contentOf, inShort, read, type Seen } from "./chat.ts";
import { promptOf } from "./scripts.ts";

type Ask = ReturnType<typeof ask>;

/** What a turn must leave behind. */
export interface Expected {
  /** The whole answer. */
  whole: string;
  /** Whether the fault may have kept even the prompt from being stored. Never so after a clean end. */
  promptMayBeMissing?: boolean;
  /** Whether the fault may have kept what was said from being stored. */
  partMayBeMissing?: boolean;
}

/** Checks what a turn has left behind, once it is settled: never a clean end without a stored whole answer. */
export async function expectAgreement(chat: Chat, request: Ask, seen: Seen, expected: Expected): Promise<void> {
  const { whole, promptMayBeMissing = false, partMayBeMissing = false } = expected;
  const [prompt, answer, ...more] = await chat.stored(request.threadId);
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
    if (answer || !partMayBeMissing) expect(content).toMatch(new RegExp(`^${RegExp.escape(seen.text)}`));
  }
  expect(whole.startsWith(content)).toBe(true);
}

/** Sends the same ids again: one whole answer, stored once behind its prompt, and from then on replayed without a model call. */
export async function expectHealing(chat: Chat, request: Ask, whole: string): Promise<void> {
  const answer = { status: 200, text: whole, failed: false };
  expect(await read(chat.post(request))).toEqual(answer);
  await chat.settled();
  const stored = [
    `user ${request.prompt.id} complete ${JSON.stringify(request.prompt.content)}`,
    `assistant ${request.responseId} complete ${JSON.stringify(whole)}`,
  ];
  expect(inShort(await chat.stored(request.threadId))).toEqual(stored);
  const calls = callsFor(chat, request);
  expect(await read(chat.post(request))).toEqual(answer);
  await chat.settled();
  expect(inShort(await chat.stored(request.threadId))).toEqual(stored);
  expect(callsFor(chat, request)).toBe(calls);
}

/** How often the model was asked a prompt. */
export const callsFor = (chat: Chat, { prompt }: Ask): number =>
  chat.model.calls.filter(
    ({ body }) => promptOf(body) === (typeof prompt.content === "string" ? prompt.content : JSON.stringify(prompt.content)),
  ).length;

/** Runs a check for many cases, a few at a time. */
export async function forEach<T>(cases: readonly T[], check: (value: T) => Promise<void>, atOnce = 8): Promise<void> {
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
