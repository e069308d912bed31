import { describe, expect, test } from "vitest";
import { failOnUnhandledErrors } from "../support/unhandled-errors.ts";
import { expectError } from "../support/chat.ts";
import { ada, answer, type ThreadListBody, readJson, prompt, startThreads, type Threads, variants } from "./setup.ts";

failOnUnhandledErrors();

const names = (count: number) => Array.from({ length: count }, (_, n) => `thread ${n}`);

async function fill(store: Threads["backingStore"], count: number, owner = "ada"): Promise<void> {
  for (const threadId of names(count)) await store.appendMessages({ owner, threadId }, [prompt(1)], { title: threadId });
}

describe.each(variants)("%s", (via) => {
  test("pages have 50 threads, and a cursor needs no URL encoding", async () => {
    const { send, backingStore } = await startThreads(via);
    await fill(backingStore, 125);
    const sizes: number[] = [];
    const met: string[] = [];
    let path: string | undefined = "/get";
    for (let page = 0; path && page < 10; page++) {
      const list: ThreadListBody = await readJson(send(path));
      sizes.push(list.threads.length);
      met.push(...list.threads.map(({ id }) => id));
      // Clients read `null` as a next page, and other characters may change in a URL.
      expect("nextCursor" in list ? list.nextCursor : "none").toMatch(/^[\w-]+$/);
      path = list.nextCursor && `/get?cursor=${list.nextCursor}`;
    }
    expect(sizes).toEqual([50, 50, 25]);
    expect(met).toEqual(names(125).toReversed());
  });

  test("activity between two pages does not repeat or hide an unchanged thread", async () => {
    const { send, backingStore } = await startThreads(via, { pageSize: 10 });
    await fill(backingStore, 120);
    const touched = new Set<string>();
    const met: string[] = [];
    let path: string | undefined = "/get";
    for (let page = 0; path && page < 50; page++) {
      const list: ThreadListBody = await readJson(send(path));
      met.push(...list.threads.map(({ id }) => id));
      const [again, renamed, gone] = [`thread ${page * 3}`, `thread ${page * 3 + 1}`, `thread ${page * 3 + 2}`];
      await backingStore.appendMessages(ada(again), [answer(1)]);
      await backingStore.renameThread(ada(renamed), "New");
      await backingStore.deleteThread(ada(gone));
      await backingStore.appendMessages(ada(`late ${page}`), [prompt(1)]);
      for (const id of [again, gone]) touched.add(id);
      path = list.nextCursor && `/get?cursor=${list.nextCursor}`;
    }
    expect(touched.size).toBeGreaterThan(15);
    const untouched = names(120).filter((id) => !touched.has(id));
    expect(met.filter((id) => untouched.includes(id))).toEqual(untouched.toReversed());
    expect(new Set(met).size).toBe(met.length);
  });

  test("a page that ends with the last thread has no cursor", async () => {
    const { send, backingStore } = await startThreads(via, { pageSize: 4 });
    await fill(backingStore, 8);
    const first = await readJson<ThreadListBody>(send("/get"));
    const second = await readJson<ThreadListBody>(send(`/get?cursor=${first.nextCursor}`));
    expect(Object.keys(second)).toEqual(["threads"]);
    expect(second.threads).toHaveLength(4);
  });

  test("an invalid cursor is rejected, or returns threads of the same owner", async () => {
    const { send, backingStore, store, errors } = await startThreads(via, { pageSize: 2 });
    await fill(backingStore, 6);
    await fill(backingStore, 3, "eve");
    for (const cursor of ["abc", "-1", "1.5", "%00", "a/b", "' OR 1=1", "9".repeat(600)]) {
      expect(await expectError(await send(`/get?cursor=${cursor}`), 400, "invalid_request")).toMatchObject({ param: "cursor" });
    }
    expect(store.calls.map(({ args }) => (args[1] as { cursor: string }).cursor)).toEqual(["abc", "-1"]);
    expect(errors.map(({ code }) => code)).toEqual(Array.from({ length: 7 }, () => "invalid_request"));
    const { nextCursor } = await readJson<ThreadListBody>(send("/get"));
    const foreign = await readJson<ThreadListBody>(send(`/get?cursor=${nextCursor}`, { headers: { "X-Owner": "eve" } }));
    for (const { id } of foreign.threads) expect(await backingStore.getThread({ owner: "eve", threadId: id })).toBeDefined();
    expect((await readJson<ThreadListBody>(send("/get?cursor="))).threads).toHaveLength(2);
  });
});

test("a store may return null as no cursor", async () => {
  const { send, backingStore } = await startThreads("direct");
  await fill(backingStore, 3);
  const store = {
    ...backingStore,
    listThreads: async () => ({ ...(await backingStore.listThreads("ada", { limit: 2 })), nextCursor: null as never }),
  };
  const { send: sendOther } = await startThreads("direct", { store });
  expect(Object.keys(await readJson<object>(sendOther("/get")))).toEqual(["threads"]);
  expect((await readJson<ThreadListBody>(send("/get"))).threads).toHaveLength(3);
});
