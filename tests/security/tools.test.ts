/** What a model and its tools may cause in one step. */
import { setImmediate as soon } from "node:timers/promises";
import type { ChatCompletionMessageFunctionToolCall } from "openai/resources/chat/completions";
import { expect, it } from "vitest";
import { createTools, type ToolContext } from "../../src/tools.ts";
import { chatBody, contentOf, readResponse, startChat } from "../support/chat.ts";
import { usedHeap } from "../support/heap.ts";
import { callTools } from "../support/model-scripts.ts";

const context = { signal: new AbortController().signal } as ToolContext;
const calls = (count: number): ChatCompletionMessageFunctionToolCall[] =>
  Array.from({ length: count }, (_, n) => ({ id: `c${n}`, type: "function", function: { name: "work", arguments: `{"n":${n}}` } }));

it("runs 32 of 100,000 calls in one step, and tells the model how many were dropped", async () => {
  let ran = 0;
  const tools = createTools([{ name: "work", run: () => ++ran }]);
  const { calls: stored, results } = await tools.run(calls(100_000), context, () => {});
  expect(ran).toBe(32);
  expect([stored.length, results.length]).toEqual([33, 33]);
  expect(results.map(({ tool_call_id: id }) => id)).toEqual(stored.map(({ id }) => id));
  expect(results[31]?.content).toBe("32");
  expect(results[32]?.content).toBe(
    '{"error":"Not run: at most 32 calls run in one step, and 99968 were dropped. Call them in another step."}',
  );
});

it("runs 8 calls at a time, each with its own result", async () => {
  let [running, most] = [0, 0];
  const run = async (args: unknown) => {
    most = Math.max(most, ++running);
    await soon();
    running--;
    return args;
  };
  const tools = createTools([{ name: "work", run }]);
  const { results } = await tools.run(calls(32), context, () => {});
  expect(most).toBe(8);
  expect(results.map(({ content }) => content)).toEqual(calls(32).map(({ function: { arguments: args } }) => args));
});

it("starts no call after an abort", async () => {
  const controller = new AbortController();
  let ran = 0;
  const run = () => {
    if (++ran === 8) controller.abort();
    return new Promise(() => {});
  };
  const tools = createTools([{ name: "work", run }]);
  const { results } = await tools.run(calls(20), { ...context, signal: controller.signal }, () => {});
  expect(ran).toBe(8);
  expect(results.length).toBe(20);
});

it.each([
  ["text", "x".repeat(10_000_000)],
  ["JSON", { text: "x".repeat(10_000_000) }],
])("cuts a result of 10 MB in %s, and tells the model what was cut", async (_, result) => {
  const chat = await startChat({ tools: createTools([{ name: "work", run: () => result }]) });
  chat.model.next(callTools({ id: "c1", name: "work", args: {} }));
  expect((await readResponse(chat.post(chatBody("Hi")))).failed).toBe(false);
  await chat.waitForTurns();
  const content = contentOf((await chat.listStored())[2]);
  expect(content.length).toBeLessThan(100_200);
  expect(content).toMatch(/x\n\[Cut: the result has 1000\d+ characters, and only the first 100000 are here\.\]$/);
  expect(chat.model.calls[1]?.body.messages.at(-1)?.content).toBe(content);
});

it("never cuts within a character, and keeps nothing of what it cut", async () => {
  const tools = createTools([{ name: "work", run: () => "😀".repeat(10) }], { resultCharacters: 5 });
  const { results } = await tools.run(calls(1), context, () => {});
  expect(results[0]?.content).toMatch(/^😀😀\ufffd\n\[Cut: the result has 20 characters/);

  const kept: unknown[] = [];
  const large = createTools([{ name: "work", run: () => "x".repeat(20_000_000).replace("x", "y") }]);
  const before = usedHeap();
  for (let n = 0; n < 5; n++) kept.push(await large.run(calls(1), context, () => {}));
  expect(usedHeap() - before).toBeLessThan(5_000_000);
  expect(kept.length).toBe(5);
});

it.each([
  [{ calls: 0 }, /createTools\.calls must be a whole number from 1/],
  [{ concurrency: "8" }, /createTools\.concurrency must be of type number/],
  [{ results: 1 }, /createTools\.results/],
])("fails at construction with %j", (limits, remedy) => {
  expect(() => createTools([], limits as object)).toThrow(remedy);
});
