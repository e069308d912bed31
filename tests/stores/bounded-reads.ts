/** What a store that implements `maxCharacters` returns: no message more than it takes. The kit cannot ask that of every store. */
import { expect } from "vitest";
import type { MessageStore } from "../../src/index.ts";
import { here, idsOf, prompt, prompts } from "./samples.ts";

/** Reads a thread of 12 messages of 100 kB, and then of 90 small ones after them. */
export async function expectBoundedReads(store: MessageStore): Promise<void> {
  const count = async (last: number | undefined, maxCharacters: number) => (await store.listMessages(here, { last, maxCharacters })).length;
  for (let n = 0; n < 12; n++) await store.appendMessages(here, [prompt(`large.${n}`, "0123456789".repeat(10_000))]);
  expect([await count(100, 1), await count(100, 100_000), await count(100, 250_000), await count(undefined, 1_150_000)]).toEqual([
    1, 1, 3, 12,
  ]);
  expect([await count(2, 250_000), await count(2, 1), await count(100, 10_000_000), await count(undefined, 10_000_000)]).toEqual([
    2, 1, 12, 12,
  ]);

  const small = Array.from({ length: 90 }, (_, n) => `small.${n}`);
  await store.appendMessages(here, prompts(...small));
  expect([await count(100, 10_000_000), await count(50, 10_000_000), await count(100, 250_000), await count(5, 250_000)]).toEqual([
    100, 50, 93, 5,
  ]);
  expect(idsOf(await store.listMessages(here, { last: 100, maxCharacters: 150_000 }))).toEqual(["large.10", "large.11", ...small]);
  await expect(count(10, 0)).rejects.toThrow("maxCharacters must be a whole number from 1");
}
