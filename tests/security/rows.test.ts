/** Rows that somebody else wrote into the database: none of them fails a turn or a route. */
import { expect, it } from "vitest";
import { createMemoryStore, type StoredMessage, type ThreadStore } from "../../src/index.ts";
import { chatBody, readResponse, startChat } from "../support/chat.ts";
import { failOnUnhandledErrors } from "../support/unhandled-errors.ts";
import { ada, answer, message, readJson, prompt, startThreads } from "../threads/setup.ts";

failOnUnhandledErrors();

const odd: unknown[] = [
  null,
  undefined,
  5,
  true,
  "text",
  {},
  [],
  [null],
  [5],
  [{}],
  [{ type: 5 }],
  [{ type: "text" }],
  [{ type: "text", text: 5 }],
];
const calls: unknown[] = [
  ...odd,
  [{ id: "c" }],
  [{ id: "c", type: "function" }],
  [{ id: "c", type: "function", function: null }],
  [{ id: "c", type: "function", function: { name: 5, arguments: {} } }],
  [{ id: "c", type: "custom", custom: null }],
];
const rows: unknown[] = [
  ...odd,
  ...odd.map((id) => ({ ...prompt("odd"), id })),
  ...odd.map((promptId) => ({ ...answer("odd"), promptId })),
  ...odd.map((value) => ({ ...answer("odd"), message: value })),
  ...odd.map((role) => ({ ...answer("odd"), message: { role, content: "x" } })),
  ...["user", "assistant", "tool", "system"].flatMap((role) =>
    odd.map((content) => message("m", "p1", { role, content, tool_call_id: "c" })),
  ),
  ...calls.map((tool_calls) => message("m", "p1", { role: "assistant", content: null, tool_calls })),
  ...odd.map((usage) => answer("odd", "x", { usage, finishReason: usage, status: usage, createdAt: usage } as object)),
];

/** A store whose thread has one more row, at each of three places. */
function storeWith(row: unknown, place: number): ThreadStore {
  const kept = createMemoryStore();
  return {
    ...kept,
    async listMessages(...args) {
      const messages = await kept.listMessages(...args);
      return messages.length > 0 ? messages.toSpliced(place, 0, row as StoredMessage) : messages;
    },
  };
}

it("a turn, its replay and the thread route work with each of them", async () => {
  for (const row of rows) {
    for (const place of [0, 1, 2]) {
      const store = storeWith(row, place);
      const chat = await startChat({ backingStore: store, authorize: () => ({ owner: "ada" }) });
      await store.appendMessages(ada("t"), [prompt(1), answer(1)]);
      const seen = await readResponse(chat.post(chatBody("Hi", 2)));
      expect([JSON.stringify(row), seen]).toEqual([JSON.stringify(row), { status: 200, text: "Answer to Hi.", failed: false }]);
      expect(await readResponse(chat.post(chatBody("Hi", 2)))).toEqual(seen);
      expect(await readResponse(chat.post(chatBody("Prompt 1", 1)))).toMatchObject({ status: 200, failed: false });
      expect(chat.errors).toEqual([]);

      const threads = await startThreads("direct", { store });
      const shown = await threads.send("/get/t");
      expect([JSON.stringify(row), threads.errors]).toEqual([JSON.stringify(row), []]);
      const ids = (await readJson<{ id: string }[]>(shown)).map(({ id }) => id);
      expect(ids.filter((id) => /^[pr][12]$/.test(id))).toEqual(["p1", "r1", "p2", "r2"]);
      const filled = { id: "r2", role: "assistant", content: 'Answer to Hi.<context>{"a":1}</context>' };
      expect((await threads.send("/message", { method: "PATCH", body: { threadId: "t", message: filled } })).status).toBe(204);
      expect(threads.errors).toEqual([]);
    }
  }
}, 120_000);

it("replays an answer with tool calls that make no sense", async () => {
  for (const tool_calls of calls) {
    const chat = await startChat();
    const step = message("c", "p1", { role: "assistant", content: "Look. ", tool_calls });
    const result = message("x", "p1", { role: "tool", content: { not: "text" }, tool_call_id: 5 });
    await chat.backingStore.appendMessages({ owner: "", threadId: "t" }, [prompt(1), step, result, answer(1)]);
    expect(await readResponse(chat.post(chatBody("Prompt 1")))).toEqual({ status: 200, text: "Look. Answer 1", failed: false });
  }
});

it("a list of threads leaves out rows that are no threads", async () => {
  const kept = createMemoryStore();
  await kept.createThread(ada("t"), "Title");
  for (const row of odd) {
    const listThreads: ThreadStore["listThreads"] = async (...args) => {
      const { threads } = await kept.listThreads(...args);
      return { threads: [row as (typeof threads)[number], ...threads] };
    };
    const { send } = await startThreads("direct", { store: { ...kept, listThreads } });
    expect((await readJson<{ threads: { id: string }[] }>(send("/get"))).threads.map(({ id }) => id)).toEqual(["t"]);
  }
});

it.each<[unknown]>([[null], [undefined], [[]], [{}], [{ threads: null }]])(
  "a page of threads that is %j is a fault of the store",
  async (page) => {
    const store = { ...createMemoryStore(), listThreads: async () => page } as ThreadStore;
    const { send, errors } = await startThreads("direct", { store });
    expect((await send("/get")).status).toBe(503);
    expect(String(errors[0]?.cause)).toContain("listThreads() must resolve to { threads }");
  },
);
