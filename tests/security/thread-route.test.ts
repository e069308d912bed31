/** How much the thread routes read and send. */
import { expect, it } from "vitest";
import { ada, answer, readJson, prompt, startThreads } from "../threads/setup.ts";

type Shown = { id: string; content: string }[];

it("shows the newest turns of a thread of 104 MB, in at most limits.characters, and reads little more", async () => {
  const threads = await startThreads("direct");
  for (let n = 0; n < 520; n++)
    await threads.backingStore.appendMessages(ada("t"), [prompt(n, "x".repeat(99_000)), answer(n, "y".repeat(99_000))]);
  let read = 0;
  const { listMessages } = threads.backingStore;
  threads.backingStore.listMessages = async (...args) => {
    const messages = await listMessages(...args);
    read += messages.length;
    return messages;
  };
  const response = await threads.send("/get/t");
  const text = await response.text();
  expect(text.length).toBeLessThan(5_100_000);
  const shown = JSON.parse(text) as Shown;
  expect(shown.at(-1)?.id).toBe("r519");
  expect(shown[0]?.id).toMatch(/^p/);
  expect(shown.length).toBe(50);
});

it("shows at least the last message", async () => {
  const { send, backingStore } = await startThreads("direct", { limits: { characters: 10 } });
  await backingStore.appendMessages(ada("t"), [prompt(1), answer(1, "x".repeat(100))]);
  expect((await readJson<Shown>(send("/get/t"))).map(({ id }) => id)).toEqual(["r1"]);
});

it("shows a long thread of short messages whole", async () => {
  const { send, backingStore, store } = await startThreads("direct");
  await backingStore.appendMessages(ada("t"), Array.from({ length: 500 }, (_, n) => [prompt(n), answer(n)]).flat());
  expect(await readJson<Shown>(send("/get/t"))).toHaveLength(1_000);
  const counts = store.calls.filter(({ method }) => method === "listMessages").map(({ args }) => (args[1] as { last: number }).last);
  expect(counts).toEqual([50, 200, 800, 3_200]);
});
