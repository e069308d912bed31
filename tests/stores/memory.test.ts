import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { describe, expect, test } from "vitest";
import { createMemoryStore, type StoredMessage, type ThreadKey, type ThreadStore } from "../../src/index.ts";
import { testMessageStore } from "../../src/testkit.ts";
import { expectBoundedReads } from "./bounded-reads.ts";
import { idsOf, prompt, prompts } from "./samples.ts";

testMessageStore("memory", { create: () => createMemoryStore(), threads: true }, { test });

const key = (threadId: string, owner = ""): ThreadKey => ({ owner, threadId });

/** The ids of an owner's threads, latest activity first. Listing uses no thread. */
async function threadIds(store: ThreadStore, owner = ""): Promise<string[]> {
  return (await store.listThreads(owner, { limit: 20_000 })).threads.map(({ threadId }) => threadId);
}

/** Bytes in use, less what is only waiting to be collected. */
function usedMemory(): number {
  setFlagsFromString("--expose-gc");
  runInNewContext("gc()");
  return process.memoryUsage().heapUsed;
}

/** Uses some 1,000 characters. */
const large = (id: string) => prompt(id, "x".repeat(900));

test("a read ends where its characters do", async () => {
  await expectBoundedReads(createMemoryStore());
});

describe("at most maxThreads threads", () => {
  test("are kept of all owners together, the longest unused being the first to go", async () => {
    const store = createMemoryStore({ maxThreads: 3 });
    for (const id of ["a", "b"]) await store.appendMessages(key(id, "ada"), prompts("m", "n"));
    await store.createThread(key("c", "bob"), "");
    await store.appendMessages(key("d", "bob"), prompts("m"));
    expect([await threadIds(store, "ada"), await threadIds(store, "bob")]).toEqual([["b"], ["d", "c"]]);
    expect(await store.listMessages(key("a", "ada"))).toEqual([]);

    await store.appendMessages(key("a", "ada"), prompts("o"));
    expect(idsOf(await store.listMessages(key("a", "ada")))).toEqual(["o"]);
    expect(await threadIds(store, "ada")).toEqual(["a"]);
  });

  const uses: Record<string, (store: ThreadStore, thread: ThreadKey) => Promise<unknown>> = {
    listMessages: (store, thread) => store.listMessages(thread, { last: 1 }),
    appendMessages: (store, thread) => store.appendMessages(thread, prompts("n")),
    updateMessage: (store, thread) => store.updateMessage(thread, "m", { status: "stopped" }),
    deleteMessages: (store, thread) => store.deleteMessages(thread, ["m"]),
    getThread: (store, thread) => store.getThread(thread),
    createThread: (store, thread) => store.createThread(thread, ""),
    renameThread: (store, thread) => store.renameThread(thread, "New title"),
  };
  test.each(Object.entries(uses))("do not lose the one that %s used", async (_, use) => {
    const store = createMemoryStore({ maxThreads: 2 });
    await store.appendMessages(key("a"), prompts("m"));
    await store.appendMessages(key("b"), prompts("m"));
    await use(store, key("a"));
    await store.appendMessages(key("c"), prompts("m"));
    expect((await threadIds(store)).toSorted()).toEqual(["a", "c"]);
  });

  test("are 10,000 by default", async () => {
    const store = createMemoryStore();
    for (let index = 0; index <= 10_000; index++) await store.createThread(key(`thread.${index}`), "");
    const ids = await threadIds(store);
    expect(ids).toHaveLength(10_000);
    expect(ids.at(-1)).toBe("thread.1");
  });
});

describe("at most maxCharacters characters", () => {
  test("are kept of messages, ids and titles", async () => {
    const store = createMemoryStore({ maxCharacters: 5_000 });
    for (const id of ["a", "b", "c", "d"]) await store.appendMessages(key(id), [large("m")]);
    expect(await threadIds(store)).toEqual(["d", "c", "b", "a"]);
    await store.appendMessages(key("e"), [large("m")]);
    expect(await threadIds(store)).toEqual(["e", "d", "c", "b"]);
    await store.appendMessages(key("b"), [large("n")]);
    expect(await threadIds(store)).toEqual(["b", "e", "d"]);
    await store.updateMessage(key("e"), "m", { message: { role: "user", content: "x".repeat(2_000) } });
    expect(await threadIds(store)).toEqual(["b", "e"]);
    await store.renameThread(key("b"), "x".repeat(2_000));
    expect(await threadIds(store)).toEqual(["b"]);
    await store.createThread(key("f"), "x".repeat(2_000));
    expect(await threadIds(store)).toEqual(["f"]);
    await store.createThread(key("x".repeat(4_000)), "");
    expect(await threadIds(store)).toEqual(["x".repeat(4_000)]);
  });

  test("are free again once their messages or threads are gone", async () => {
    const store = createMemoryStore({ maxCharacters: 5_000 });
    await store.createThread(key("still"), "");
    for (let round = 0; round < 50; round++) {
      await store.appendMessages(key("a"), [large("m"), large("n")], { title: "x".repeat(500) });
      await store.updateMessage(key("a"), "m", { message: { role: "user", content: "x".repeat(100) } });
      await store.renameThread(key("a"), "");
      await store.deleteMessages(key("a"), ["m", "unknown", "n", "n"]);
      await store.appendMessages(key("b"), [large("m"), large("n")]);
      await store.deleteThread(key("b"));
      await store.appendMessages(key("c", "ada"), [large("m"), large("n")]);
      await store.deleteOwner("ada");
    }
    await store.appendMessages(key("b"), [large("m"), large("n"), large("o"), large("p")]);
    expect((await threadIds(store)).at(-1)).toBe("still");
  });

  test("leave no trace once their owner is gone", async () => {
    const store = createMemoryStore({ maxThreads: 10 });
    const before = usedMemory();
    for (let index = 0; index < 1_000; index++) {
      const owner = Buffer.alloc(30_000, `owner ${index} `).toString("latin1");
      await store.createThread(key("a", owner), "");
    }
    expect(usedMemory() - before).toBeLessThan(10_000_000); // a third of the owners' names
    expect(await threadIds(store)).toEqual([]); // the store was still in use
  });

  test("are never made by evicting the thread in use, however large", async () => {
    const store = createMemoryStore({ maxCharacters: 100 });
    await store.appendMessages(key("a"), [large("m")]);
    await store.appendMessages(key("a"), [{ ...large("n"), promptId: "m" }], { replacesAnswerTo: "m" });
    expect(idsOf(await store.listMessages(key("a")))).toEqual(["m", "n"]);
    await store.createThread(key("b"), "");
    expect(await threadIds(store)).toEqual(["b"]);
  });
});

describe("an owner that uses more than a tenth of the store", () => {
  const others = Array.from({ length: 2_000 }, (_, index) => `owner ${index}`);

  test("evicts its own threads, not those of 2,000 others", async () => {
    const store = createMemoryStore({ maxCharacters: 5_000_000 });
    for (const owner of others) await store.appendMessages(key("t", owner), [large("m")]);
    for (let index = 0; index < 100; index++) {
      await store.appendMessages(key(`t${index}`, "eve"), [prompt("m", "x".repeat(100_000))]);
    }
    for (const owner of others) expect(await threadIds(store, owner)).toEqual(["t"]);
    expect((await threadIds(store, "eve"))[0]).toBe("t99");
  });

  test("does not evict others with a single thread that takes the whole store", async () => {
    const store = createMemoryStore({ maxCharacters: 1_000_000 });
    for (const owner of others.slice(0, 50)) await store.appendMessages(key("t", owner), [large("m")]);
    const append = (id: string) => store.appendMessages(key("t", "eve"), [prompt(id, "x".repeat(90_000))]);
    for (let index = 0; index < 10; index++) await append(`m${index}`);
    await expect(append("more")).rejects.toThrow("too large for the memory store. Raise maxCharacters");
    expect(await store.listMessages(key("t", "eve"))).toHaveLength(10);
    for (const owner of others.slice(0, 50)) expect(await threadIds(store, owner)).toEqual(["t"]);
    // Others still have their share.
    for (let index = 0; index < 10; index++) await store.appendMessages(key(`t${index}`, "ada"), [large("m")]);
    expect(await threadIds(store, "ada")).toHaveLength(10);
  });

  test("makes room for others when the store is full", async () => {
    const store = createMemoryStore({ maxThreads: 100 });
    for (let index = 0; index < 100; index++) await store.createThread(key(`t${index}`, "eve"), "");
    for (let index = 0; index < 90; index++) await store.createThread(key("t", `owner ${index}`), "");
    for (let index = 0; index < 90; index++) expect(await threadIds(store, `owner ${index}`)).toEqual(["t"]);
    expect(await threadIds(store, "eve")).toHaveLength(10);
  });
});

test("a cursor tells nothing of the activity of other owners", async () => {
  const store = createMemoryStore();
  const cursors: (string | undefined)[] = [];
  for (const count of [0, 1_000]) {
    for (let index = 0; index < count; index++) await store.appendMessages(key("t", "ada"), prompts(`m${index}`));
    const owner = `bob ${count}`;
    for (const id of ["a", "b", "c"]) await store.createThread(key(id, owner), "");
    cursors.push((await store.listThreads(owner, { limit: 1 })).nextCursor);
  }
  expect(cursors[1]).toBe(cursors[0]);
});

test("messages without a prompt id, as JavaScript may import them, are kept once however often they come", async () => {
  const store = createMemoryStore();
  const { promptId: _, ...imported } = large("m");
  for (let times = 0; times < 3; times++) await store.appendMessages(key("a"), [imported as StoredMessage]);
  expect(idsOf(await store.listMessages(key("a")))).toEqual(["m"]);
});

describe("misuse", () => {
  test.each([0, -1, 1.5, NaN, Infinity, "10", null])("fails at construction with the bound %j", (bound) => {
    for (const name of ["maxThreads", "maxCharacters"]) {
      expect(() => createMemoryStore({ [name]: bound })).toThrow(`createMemoryStore.${name} must be `);
    }
  });

  test("fails at construction with an unknown option", () => {
    const options: object = { maxMessages: 10 };
    expect(() => createMemoryStore(options)).toThrow("chat-handler: There is no option createMemoryStore.maxMessages");
  });

  test("deletes most of a long thread at once, without looking for each message", async () => {
    const store = createMemoryStore();
    const batch = Array.from({ length: 100_000 }, (_, index) => prompt(String(index), ""));
    await store.appendMessages(key("a"), batch);
    const started = performance.now();
    const ids = batch.map(({ id }) => id).filter((id) => Number(id) % 3 > 0);
    await store.deleteMessages(key("a"), ids);
    expect(performance.now() - started).toBeLessThan(1_000);
    expect(await store.listMessages(key("a"), { last: 2 })).toMatchObject([{ id: "99996" }, { id: "99999" }]);
    expect(await store.deleteMessages(key("a"), ids)).toBeUndefined();
    expect((await store.listMessages(key("a"))).length).toBe(33_334);
  });

  test("rejects counts that are no positive integers, and foreign cursors", async () => {
    const store = createMemoryStore();
    for (const count of [0, -1, 1.5, NaN]) {
      await expect(store.listMessages(key("a"), { last: count })).rejects.toThrow("last must be a whole number from 1");
      await expect(store.listThreads("", { limit: count })).rejects.toThrow("limit must be a whole number from 1");
    }
    await expect(store.listThreads("", { limit: 1, cursor: "x" })).rejects.toMatchObject({
      code: "invalid_request",
      param: "cursor",
      message: "cursor must be a nextCursor of this store.",
    });
  });
});
