import { globSync } from "node:fs";
import type { useThreadListManager, useThreadManager } from "@thesysai/genui-sdk";
import { build } from "esbuild";
import { describe, expect, expectTypeOf, test } from "vitest";
import { type C1ThreadsOptions, createC1Threads } from "../../src/c1-client.ts";
import { failOnUnhandledErrors } from "../support/unhandled-errors.ts";
import { createGate } from "../support/model-scripts.ts";
import { ada, answer, prompt, startThreads, variants } from "../threads/setup.ts";

failOnUnhandledErrors();

const wrap = (text: string, context = "") => `<content thesys="true">${text}</content>${context}`;

test("the functions have the types that C1Chat's thread managers expect", () => {
  const threads = createC1Threads({ url: "/api/threads" });
  type ListParams = Parameters<typeof useThreadListManager>[0];
  type ThreadParams = Parameters<typeof useThreadManager>[0];
  expectTypeOf({ ...threads, onSelectThread() {}, onSwitchToNew() {} }).toExtend<ListParams>();
  expectTypeOf(threads.loadThread).toExtend<ThreadParams["loadThread"]>();
  expectTypeOf<Parameters<ThreadParams["onUpdateMessage"]>[0]["message"]>().toExtend<Parameters<typeof threads.updateMessage>[1]>();
  expectTypeOf<ThreadParams["threadListManager"]["selectedThreadId"]>().toExtend<Parameters<typeof threads.updateMessage>[0]>();
});

describe.each(variants)("%s", (via) => {
  const startClient = async (options: Partial<C1ThreadsOptions> = {}, pageSize?: number) => {
    const server = await startThreads(via, { pageSize });
    return { ...server, threads: createC1Threads({ url: server.url, fetch: server.fetch, ...options }) };
  };

  test("lists the threads of all pages, with dates", async () => {
    const { threads, backingStore } = await startClient({}, 7);
    const ids = Array.from({ length: 30 }, (_, n) => `thread ${n}`);
    for (const id of ids) await backingStore.appendMessages(ada(id), [prompt(1)], { title: `Title of ${id}` });
    const list = await threads.fetchThreadList();
    expect(list.map(({ threadId }) => threadId)).toEqual(ids.toReversed());
    expect(list[0]).toEqual({ threadId: "thread 29", title: "Title of thread 29", createdAt: expect.any(Date) });
    expect(Math.abs(list[0]!.createdAt.getTime() - Date.now())).toBeLessThan(60_000);
  });

  test("lists at most twenty pages", async () => {
    const { threads, backingStore, store } = await startClient({}, 2);
    for (let n = 0; n < 50; n++) await backingStore.appendMessages(ada(`thread ${n}`), [prompt(1)]);
    expect(await threads.fetchThreadList()).toHaveLength(40);
    expect(store.calls).toHaveLength(20);
  });

  test("an owner without threads has an empty list", async () => {
    const { threads } = await startClient();
    expect(await threads.fetchThreadList()).toEqual([]);
  });

  test("a new thread gets its id in the browser, without a request", async () => {
    const { threads, store } = await startClient();
    const made = await threads.createThread({ message: "Hello" });
    expect(made).toEqual({ threadId: expect.stringMatching(/^[\da-f-]{36}$/), title: "Hello", createdAt: expect.any(Date) });
    expect((await threads.createThread({})).title).toBe("");
    expect(store.calls).toEqual([]);
  });

  test("renames and deletes threads with any id", async () => {
    const { threads, backingStore } = await startClient();
    for (const threadId of ["plain", "a/b", "a%2Fb", "..", "?#&=+", "ü 🙂"]) {
      await backingStore.appendMessages(ada(threadId), [prompt(1)], { title: "Old" });
      const [thread] = await threads.fetchThreadList();
      expect(await threads.updateThread({ ...thread!, title: " New " })).toEqual({ ...thread, title: "New" });
      await threads.deleteThread(threadId);
      expect(await backingStore.getThread(ada(threadId))).toBeUndefined();
      await threads.deleteThread(threadId);
    }
  });

  test("loads prompts and answers", async () => {
    const { threads, backingStore } = await startClient();
    const submit = wrap("Send it", "<context>[&quot;User clicked&quot;,[{&quot;a&quot;:&quot;&#39;&amp;lt;&quot;}]]</context>");
    await backingStore.appendMessages(ada("a/b"), [prompt(1, submit), answer(1, wrap("{}", "<context>[broken</context>"))]);
    expect(await threads.loadThread("a/b")).toEqual([
      { id: "p1", role: "user", content: submit },
      { id: "r1", role: "assistant", content: wrap("{}", "<context>[broken</context>") },
    ]);
  });

  test("prompts that C1Chat cannot parse are repaired", async () => {
    const { threads, backingStore } = await startClient();
    const prompts: [stored: unknown, shown: string][] = [
      [wrap("Hi", "<context>[1,</context>"), wrap("Hi")],
      [wrap("Hi", "<context>[1]"), wrap("Hi")],
      [wrap("Hi", "<context>"), wrap("Hi")],
      [wrap("Hi", "<context/>"), wrap("Hi")],
      [wrap("Hi", "<context></context>"), wrap("Hi")],
      [wrap("Hi", "<context>[1]</context><context>[</context>"), wrap("Hi")],
      [wrap("Hi", '<context a="b">[1]</context>'), wrap("Hi")],
      [wrap("Hi", '<context>["<b>x</b>"]</context>'), wrap("Hi")],
      [wrap("Hi", "<context>&quot;a</context>"), wrap("Hi")],
      [wrap("Hi", "<context>[1]</context>"), wrap("Hi", "<context>[1]</context>")],
      // C1 decodes all XML entities: an unknown one must not become a quote inside the JSON.
      [wrap("Hi", "<context>[&quot;it&#x27;s&quot;]</context>"), wrap("Hi", "<context>[&quot;it&#39;s&quot;]</context>")],
      [wrap("Hi", "<context>[&quot;a&#34;b&quot;]</context>"), wrap("Hi", "<context>[&quot;a&amp;#34;b&quot;]</context>")],
      ["plain <context>[</context> & <b>", wrap("plain &lt;context&gt;[&lt;/context&gt; &amp; &lt;b&gt;")],
      [
        [
          { type: "text", text: "What is" },
          { type: "image_url", image_url: { url: "https://x.test/a.png" } },
          { type: "text", text: "this?" },
        ],
        wrap("What is this?"),
      ],
      [[{ type: "image_url", image_url: { url: "https://x.test/a.png" } }], wrap("")],
    ];
    for (const [n, [stored]] of prompts.entries()) await backingStore.appendMessages(ada("t"), [prompt(n, stored)]);
    const loaded = await threads.loadThread("t");
    expect(loaded.map(({ content }) => content)).toEqual(prompts.map(([, shown]) => shown));
    const readAsC1 = await loadC1Parser();
    for (const { content } of loaded) expect(() => readAsC1(content)).not.toThrow();
    const broken = prompts.filter(([stored]) => {
      try {
        readAsC1(stored);
        return false;
      } catch {
        return true;
      }
    });
    expect(broken.length).toBeGreaterThan(5);
  });

  test("saves form state", async () => {
    const { threads, backingStore } = await startClient();
    await backingStore.appendMessages(ada("a/b"), [prompt(1), answer(1, wrap("{}"))]);
    const content = wrap("{}", "<context>[{&quot;a&quot;:1}]</context>");
    await threads.updateMessage("a/b", { id: "r1", role: "assistant", content });
    expect((await threads.loadThread("a/b"))[1]).toEqual({ id: "r1", role: "assistant", content });
    await threads.updateMessage(null, { id: "r1", role: "assistant", content });
  });

  test("the last of several saves wins, even after a failed one", async () => {
    const { threads, backingStore, store } = await startClient();
    await backingStore.appendMessages(ada("t"), [prompt(1), answer(1, wrap("{}"))]);
    const slow = createGate();
    store.injectFaults(({ method, nth }) => (method === "updateMessage" && nth === 0 ? { before: slow.opened } : undefined));
    const save = (state: number) =>
      threads.updateMessage("t", { id: "r1", role: "assistant", content: wrap("{}", `<context>[{&quot;a&quot;:${state}}]</context>`) });
    const saves = [save(1), threads.updateMessage("t", { id: "r1", role: "assistant", content: "other" }), save(2), save(3)];
    slow.open();
    expect((await Promise.allSettled(saves)).map(({ status }) => status)).toEqual(["fulfilled", "rejected", "fulfilled", "fulfilled"]);
    expect((await threads.loadThread("t"))[1]?.content).toBe(wrap("{}", "<context>[{&quot;a&quot;:3}]</context>"));
  });

  test("rejects with the server's message", async () => {
    const { threads, store } = await startClient();
    await expect(threads.loadThread("unknown")).rejects.toThrow("There is no such thread or answer.");
    await expect(threads.updateThread({ threadId: "t", title: "", createdAt: new Date() })).rejects.toThrow("title must not be empty.");
    await expect(threads.updateMessage("t", { id: "r1", role: "user", content: "" })).rejects.toThrow("message.role must be assistant.");
    store.injectFaults(() => "reject");
    await expect(threads.fetchThreadList()).rejects.toThrow("The conversation could not be read or stored. Try again.");
    await expect(threads.deleteThread("t")).rejects.toThrow("The conversation could not be read or stored. Try again.");
  });

  test("sends the app's headers with each request, and calls a header function each time", async () => {
    const fixed = await startClient({ headers: { "X-Owner": "eve" } });
    await fixed.backingStore.appendMessages({ owner: "eve", threadId: "t" }, [prompt(1)], { title: "Old" });
    expect(await fixed.threads.fetchThreadList()).toHaveLength(1);
    expect(await fixed.threads.updateThread({ threadId: "t", title: "New", createdAt: new Date() })).toMatchObject({ title: "New" });

    let made = 0;
    const fresh = await startClient({ headers: async () => ({ "X-Owner": `owner ${++made}` }) });
    await fresh.backingStore.appendMessages({ owner: "owner 2", threadId: "t" }, [prompt(1)]);
    expect(await fresh.threads.fetchThreadList()).toEqual([]);
    expect(await fresh.threads.fetchThreadList()).toHaveLength(1);
  });
});

test("rejects with method, URL and status if the error has no JSON body", async () => {
  const fetch = async () => new Response("<html>Bad gateway</html>", { status: 502 });
  const threads = createC1Threads({ url: "/api/threads", fetch });
  await expect(threads.fetchThreadList()).rejects.toThrow("GET /api/threads/get failed with status 502.");
  const nothing = createC1Threads({ url: "/api/threads", fetch: async () => Response.json(null, { status: 500 }) });
  await expect(nothing.fetchThreadList()).rejects.toThrow("GET /api/threads/get failed with status 500.");
});

test("rejects with method, URL and status if the response is a page instead of JSON", async () => {
  const fetch = async () => new Response("<!doctype html><title>Sign in</title>");
  const threads = createC1Threads({ url: "/api/threads", fetch });
  const remedy = "returned 200 without JSON. Check that url is the URL of the thread handler.";
  await expect(threads.fetchThreadList()).rejects.toThrow(`GET /api/threads/get ${remedy}`);
  await expect(threads.loadThread("t")).rejects.toThrow(`GET /api/threads/get?threadId=t ${remedy}`);
  const renaming = threads.updateThread({ threadId: "t", title: "New", createdAt: new Date() });
  await expect(renaming).rejects.toThrow(`PATCH /api/threads/update?threadId=t ${remedy}`);
});

test("rejects with the connection's error if the response breaks", async () => {
  const body = () => new ReadableStream({ start: (controller) => controller.error(new TypeError("terminated")) });
  const threads = createC1Threads({ url: "/api/threads", fetch: async () => new Response(body()) });
  await expect(threads.fetchThreadList()).rejects.toThrow(/^terminated$/);
});

test("ignores a slash at the end of the url", async () => {
  for (const [url, requested] of [
    ["/api/threads/", "/api/threads/get"],
    ["https://x.test/api//", "https://x.test/api/get"],
    ["/", "/get"],
    ["", "/get"],
  ] as const) {
    const addresses: unknown[] = [];
    const fetch = async (address: unknown) => (addresses.push(address), Response.json({ threads: [] }));
    await createC1Threads({ url, fetch }).fetchThreadList();
    expect(addresses).toEqual([requested]);
  }
});

test("wrong options throw at construction and name the fix", () => {
  for (const options of [
    undefined,
    null,
    "/api/threads",
    {},
    { baseUrl: "/api/threads" },
    { url: undefined },
    { url: new URL("https://x.test") },
  ]) {
    const construct = () => createC1Threads(options as C1ThreadsOptions);
    expect(construct).toThrow(TypeError);
    expect(construct).toThrow(/^chat-handler: .*createC1Threads\(\{ url: "\/api\/threads" \}\)/);
  }
});

test("uses the global fetch by default", async () => {
  const { url, backingStore } = await startThreads("server");
  await backingStore.appendMessages(ada("t"), [prompt(1)]);
  expect(await createC1Threads({ url }).fetchThreadList()).toHaveLength(1);
});

/** Returns C1Chat's own parser of prompts, from its package. */
async function loadC1Parser(): Promise<(content: unknown) => unknown> {
  const [parser = ""] = globSync("node_modules/@thesysai/genui-sdk/dist/xmlParser-*.js");
  const { outputFiles } = await build({ entryPoints: [parser], bundle: true, format: "esm", platform: "node", write: false });
  const code = Buffer.from(outputFiles[0]!.contents).toString("base64");
  const module = (await import(/* @vite-ignore */ `data:text/javascript;base64,${code}`)) as Record<string, (content: unknown) => unknown>;
  // The names are minified. The parser is the function that returns the context of a prompt.
  const parse = Object.values(module).find((read) => {
    try {
      return (read("<context>[1]</context>") as { messageParts?: []; context?: string }).messageParts !== undefined;
    } catch {
      return false;
    }
  });
  return (content) => {
    const { context } = parse!(content) as { context: string };
    return context ? JSON.parse(context) : undefined;
  };
}
