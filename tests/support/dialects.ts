/** Helpers for tests that play what providers really send. */
import { expect } from "vitest";
import { createTools } from "../../src/tools.ts";
import { type Chat, type ChatSetup, chatBody, readResponse, startChat } from "./chat.ts";
import { answerWith, toEvent } from "./model-scripts.ts";
import type { Script } from "./model-server.ts";

/** A chunk with this delta. */
export const delta = (fields: object, finish_reason: string | null = null, index = 0) =>
  toEvent({ choices: [{ index, delta: fields, finish_reason }] });

/** Arguments of `get_weather`. */
export const oslo = '{"city":"Oslo"}';
export const rome = '{"city":"Rome"}';

/** A piece of a tool call. */
export const callPiece = (fields: object, fn: object): object => ({ index: 0, type: "function", ...fields, function: fn });

/** A piece with a name and arguments. */
export const wholeCall = (fields: object, args: unknown): object => callPiece(fields, { name: "get_weather", arguments: args });

/** Starts a chat with the tool `get_weather`, and returns what the tool was called with, too. */
export async function startWithTool(script: Script, setup: ChatSetup = {}, result: () => unknown = () => "Sunny.") {
  const ran: unknown[] = [];
  const tools = createTools([
    {
      name: "get_weather",
      run: (args) => {
        ran.push(args);
        return result();
      },
    },
  ]);
  const chat = await startChat({ tools, script: answerWith("Done."), ...setup });
  chat.model.next(script);
  return { chat, ran };
}

/** Expects the next answer to be whole, in the stream and in the store. */
export async function expectWhole(chat: Chat, text: string): Promise<void> {
  expect(await readResponse(chat.post(chatBody("Hi")))).toEqual({ status: 200, text, failed: false });
  expect((await chat.listStored()).map(({ status }) => status)).not.toContain("failed");
}

/** Expects the next answer to break after this text, and to be stored as failed. */
export async function expectBroken(chat: Chat, text: string): Promise<void> {
  expect(await readResponse(chat.post(chatBody("Hi")))).toEqual({ status: 200, text, failed: true });
  await chat.waitForTurns();
  expect((await chat.listStored())[1]?.status).toBe("failed");
}
