/** The thread routes with OpenUI's own client. */
import { expect, test } from "vitest";
import { failOnUnhandledErrors } from "../support/unhandled-errors.ts";
import { describeWith, installed } from "../services/include.ts";
import { ada, answer, message, prompt, startThreads, variants } from "./setup.ts";

failOnUnhandledErrors();

interface OpenUIThread {
  id: string;
  title: string;
  createdAt: string | number;
}

interface OpenUI {
  restStorage(options: { baseUrl: string; fetch: typeof fetch; headers?: Record<string, string> }): {
    thread: {
      listThreads(cursor?: string): Promise<{ threads: OpenUIThread[]; nextCursor?: string }>;
      createThread(firstMessage: { id: string; role: "user"; content: string }): Promise<OpenUIThread>;
      getMessages(threadId: string): Promise<{ id: string; role: string; content: unknown }[]>;
      updateThread(thread: OpenUIThread): Promise<OpenUIThread>;
      deleteThread(id: string): Promise<void>;
    };
  };
}

const openui = await installed<OpenUI>("./node_modules/@openuidev/react-headless/dist/index.cjs");
const describeOpenUI = describeWith("@openuidev/react-headless", openui !== undefined, "npm install --prefix tests/services");

describeOpenUI.each(variants)("restStorage, %s", (via) => {
  const started = async (options: Parameters<typeof startThreads>[1] = {}) => {
    const server = await startThreads(via, options);
    const { thread: storage } = openui!.restStorage({ baseUrl: server.url, fetch: server.fetch });
    return { ...server, storage };
  };

  test("lists all pages", async () => {
    const { storage, backingStore } = await started({ pageSize: 40 });
    const ids = Array.from({ length: 110 }, (_, n) => `thread ${n}`);
    for (const id of ids) await backingStore.appendMessages(ada(id), [prompt(1)], { title: `Title of ${id}` });
    // Like OpenUI's store: a page with the field `nextCursor` is followed by another.
    const met: OpenUIThread[] = [];
    let cursor: string | undefined;
    do {
      const { threads, nextCursor } = await storage.listThreads(cursor);
      met.push(...threads);
      cursor = nextCursor;
    } while (cursor !== undefined && met.length < 1000);
    expect(met.map(({ id }) => id)).toEqual(ids.toReversed());
    for (const { createdAt } of met) expect(Math.abs(new Date(createdAt).getTime() - Date.now())).toBeLessThan(60_000);
  });

  test("loads partial answers", async () => {
    const { storage, backingStore } = await started();
    await backingStore.appendMessages(ada("t"), [prompt(1), answer(1, "Half an ans", { status: "stopped" })]);
    expect(await storage.getMessages("t")).toMatchObject([{ id: "p1" }, { id: "r1", role: "assistant", content: "Half an ans" }]);
  });

  test("creates, loads, renames and deletes a thread", async () => {
    const { storage, backingStore } = await started();
    const first = { id: crypto.randomUUID(), role: "user" as const, content: "Hello" };
    const thread = await storage.createThread(first);
    expect(thread).toEqual({ id: expect.any(String), title: "Hello", createdAt: expect.any(Number) });
    expect((await storage.listThreads()).threads).toEqual([thread]);
    expect(await storage.getMessages(thread.id)).toEqual([first]);

    const promptId = first.id;
    await backingStore.appendMessages(ada(thread.id), [
      message("c", promptId, { role: "assistant", content: null, tool_calls: [] }),
      message("r", promptId, { role: "assistant", content: "Hi" }),
    ]);
    expect(await storage.getMessages(thread.id)).toEqual([first, { id: "r", role: "assistant", content: "Hi" }]);

    expect(await storage.updateThread({ ...thread, title: "New" })).toEqual({ ...thread, title: "New" });
    expect((await storage.listThreads()).threads).toEqual([{ ...thread, title: "New" }]);
    await storage.deleteThread(thread.id);
    expect((await storage.listThreads()).threads).toEqual([]);
  });

  test("works with unusual ids", async () => {
    const { storage, backingStore } = await started();
    for (const id of ["a/b", "a/get/b", "100%", "a%2Fb", "a b", "ü/🙂", "get"]) {
      await backingStore.appendMessages(ada(id), [prompt(1), answer(1, `In ${id}`)], { title: "Old" });
    }
    for (const thread of (await storage.listThreads()).threads) {
      expect(await storage.getMessages(thread.id)).toContainEqual({ id: "r1", role: "assistant", content: `In ${thread.id}` });
      expect(await storage.updateThread({ ...thread, title: "New" })).toEqual({ ...thread, title: "New" });
      await storage.deleteThread(thread.id);
      expect(await backingStore.getThread(ada(thread.id))).toBeUndefined();
    }
  });

  test("receives errors", async () => {
    const { storage, store } = await started();
    await expect(storage.getMessages("unknown")).rejects.toThrow("404");
    await expect(storage.deleteThread("unknown")).rejects.toThrow("404");
    store.injectFaults(() => "reject");
    await expect(storage.listThreads()).rejects.toThrow("503");
  });
});
