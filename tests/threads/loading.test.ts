import { describe, expect, test } from "vitest";
import { failOnUnhandledErrors } from "../support/unhandled-errors.ts";
import { expectError } from "../support/chat.ts";
import { ada, answer, message, readJson, prompt, startThreads, variants } from "./setup.ts";

failOnUnhandledErrors();

const call = (id: string) => ({ id, type: "function", function: { name: "look", arguments: "{}" } });
const parts = [
  { type: "text", text: "What is this?" },
  { type: "image_url", image_url: { url: "https://example.test/a.png" } },
];

describe.each(variants)("%s", (via) => {
  test("returns only prompts and answers, with their ids", async () => {
    const { send, backingStore } = await startThreads(via);
    await backingStore.appendMessages(ada("t"), [
      message("s", "p1", { role: "system", content: "Be kind." }),
      message("d", "p1", { role: "developer", content: "Be brief." }),
      prompt(1, '<content thesys="true">A &amp; B</content>'),
      message("c1", "p1", { role: "assistant", content: null, tool_calls: [call("x")] }, { usage: { total_tokens: 1 } as never }),
      message("x1", "p1", { role: "tool", content: "secret", tool_call_id: "x" }),
      answer(1, "<content>Done</content>", { finishReason: "stop" }),
      prompt(2, parts),
      answer(2, "Half an ans", { status: "stopped" }),
      prompt(3),
      answer(3, "", { status: "failed" }),
      prompt(4),
      answer(4, " \n", { status: "failed" }),
      prompt(5),
      answer(5, null),
      prompt(7),
      answer(7, [
        { type: "text", text: "In two " },
        { type: "text", text: "parts" },
      ]),
      prompt(8),
      answer(8, [{ type: "refusal", refusal: "No." }]),
      message("f", "p8", { role: "function", name: "old", content: "secret" }),
      prompt(9),
    ]);
    const response = await send("/get/t");
    expect(response.headers.get("Content-Type")).toBe("application/json");
    expect(await readJson(response)).toEqual([
      { id: "p1", role: "user", content: '<content thesys="true">A &amp; B</content>' },
      { id: "r1", role: "assistant", content: "<content>Done</content>" },
      { id: "p2", role: "user", content: parts },
      { id: "r2", role: "assistant", content: "Half an ans", status: "stopped" },
      { id: "p3", role: "user", content: "Prompt 3" },
      { id: "p4", role: "user", content: "Prompt 4" },
      { id: "p5", role: "user", content: "Prompt 5" },
      { id: "p7", role: "user", content: "Prompt 7" },
      { id: "r7", role: "assistant", content: "In two parts" },
      { id: "p8", role: "user", content: "Prompt 8" },
      { id: "r8", role: "assistant", content: "No." },
      { id: "p9", role: "user", content: "Prompt 9" },
    ]);
  });

  test("a retried answer follows its prompt, and is not at the end", async () => {
    const { send, backingStore } = await startThreads(via);
    await backingStore.appendMessages(ada("t"), [prompt(1), prompt(2), answer(2), answer(1)]);
    expect((await readJson<{ id: string }[]>(send("/get/t"))).map(({ id }) => id)).toEqual(["p1", "r1", "p2", "r2"]);
  });

  test("an answer that called tools is one message, as it was streamed", async () => {
    const { send, backingStore } = await startThreads(via);
    await backingStore.appendMessages(ada("t"), [
      prompt(1),
      message("c1", "p1", { role: "assistant", content: "Let me look. ", tool_calls: [call("x")] }),
      message("x1", "p1", { role: "tool", content: "42", tool_call_id: "x" }),
      message("c2", "p1", { role: "assistant", content: null, tool_calls: [call("y")] }),
      message("y1", "p1", { role: "tool", content: "43", tool_call_id: "y" }),
      answer(1, "It is 43."),
      // Text before its calls, and none after.
      prompt(2),
      message("c3", "p2", { role: "assistant", content: "I know already.", tool_calls: [call("z")] }),
      message("z1", "p2", { role: "tool", content: "44", tool_call_id: "z" }),
      answer(2, ""),
      // Stopped during a tool.
      prompt(3),
      message("c4", "p3", { role: "assistant", content: "Looking", tool_calls: [call("w")] }),
      message("w1", "p3", { role: "tool", content: "45", tool_call_id: "w" }),
      // Two attempts of two processes.
      prompt(4),
      answer(4, "Answ", { status: "stopped" }),
      message("other", "p4", { role: "assistant", content: "Ans" }, { status: "failed" }),
    ]);
    expect(await readJson(send("/get/t"))).toEqual([
      { id: "p1", role: "user", content: "Prompt 1" },
      { id: "r1", role: "assistant", content: "Let me look. It is 43." },
      { id: "p2", role: "user", content: "Prompt 2" },
      { id: "r2", role: "assistant", content: "I know already." },
      { id: "p3", role: "user", content: "Prompt 3" },
      { id: "c4", role: "assistant", content: "Looking" },
      { id: "p4", role: "user", content: "Prompt 4" },
      { id: "r4", role: "assistant", content: "Answ", status: "stopped" },
      { id: "other", role: "assistant", content: "Ans", status: "failed" },
    ]);
  });

  test("a thread without messages is an empty array, not an unknown one", async () => {
    const { send, backingStore } = await startThreads(via);
    await backingStore.createThread(ada("t"), "Empty");
    expect(await readJson(send("/get/t"))).toEqual([]);
  });

  test("a thread longer than the limit starts at a whole turn", async () => {
    const { send, backingStore, store } = await startThreads(via, { limits: { messages: 5 } });
    for (let n = 1; n <= 10; n++) await backingStore.appendMessages(ada("t"), [prompt(n), answer(n)]);
    expect((await readJson<{ id: string }[]>(send("/get/t"))).map(({ id }) => id)).toEqual(["p9", "r9", "p10", "r10"]);
    expect(store.calls.at(-1)).toMatchObject({ method: "listMessages", args: [ada("t"), { last: 5 }] });
    // Exactly at the limit, the messages may be all of the thread, so none is dropped.
    await backingStore.appendMessages(ada("u"), [answer(1), prompt(2), answer(2), prompt(3)]);
    expect((await readJson<{ id: string }[]>(send("/get/u"))).map(({ id }) => id)).toEqual(["r1", "p2", "r2", "p3"]);
  });

  test("invalid messages do not break the thread", async () => {
    const { send, backingStore } = await startThreads(via);
    await backingStore.appendMessages(ada("t"), [
      prompt(1),
      message("m2", "p1", {}),
      message("m3", "p1", { role: "assistant" }),
      message("m4", "p1", { role: "user" }),
      message("m5", "p1", { role: "user", content: [] }),
      message("m6", "p1", { role: "assistant", content: [null] }),
      answer(1),
    ]);
    expect((await readJson<{ id: string }[]>(send("/get/t"))).map(({ id }) => id)).toEqual(["p1", "r1"]);
  });

  test("unknown and foreign threads return the same 404, byte for byte, on every route", async () => {
    const { send, backingStore } = await startThreads(via);
    await backingStore.appendMessages(ada("hers"), [prompt(1), answer(1, "Hello")], { title: "Hers" });
    const headers = { "X-Owner": "eve" };
    const content = "Hello<context>[{}]</context>";
    const requests = (id: string) =>
      [
        ["/get/" + id, { headers }],
        ["/get?threadId=" + id, { headers }],
        ["/update/" + id, { headers, method: "PATCH", body: { title: "Mine" } }],
        ["/delete/" + id, { headers, method: "DELETE" }],
        ["/message", { headers, method: "PATCH", body: { threadId: id, message: { id: "r1", role: "assistant", content } } }],
      ] as const;
    const bodies: string[] = [];
    for (const id of ["hers", "none"]) {
      const answers: string[] = [];
      for (const [path, init] of requests(id)) {
        const response = await send(path, init);
        expect(response.status).toBe(404);
        const headers = [...response.headers].filter(([name]) => name !== "date");
        answers.push(JSON.stringify([headers, await response.text()]));
      }
      bodies.push(answers.join("\n"));
    }
    expect(bodies[0]).toBe(bodies[1]);
    expect(await readJson(send("/get", { headers }))).toEqual({ threads: [] });
    // Nothing of the other owner has changed.
    expect(await backingStore.getThread(ada("hers"))).toMatchObject({ title: "Hers" });
    expect(await backingStore.listMessages(ada("hers"))).toEqual([prompt(1), answer(1, "Hello")]);
    await expectError(await send("/get/none"), 404, "not_found");
  });

  test("the same thread id of two owners is two threads", async () => {
    const { send, backingStore } = await startThreads(via);
    for (const owner of ["ada", "eve"])
      await backingStore.appendMessages({ owner, threadId: "t" }, [prompt(1, `by ${owner}`)], { title: owner });
    await send("/update/t", { method: "PATCH", body: { title: "Renamed" }, headers: { "X-Owner": "eve" } });
    expect(await readJson(send("/get"))).toMatchObject({ threads: [{ id: "t", title: "ada" }] });
    expect(await readJson(send("/get/t"))).toMatchObject([{ content: "by ada" }]);
    expect((await send("/delete/t", { method: "DELETE" })).status).toBe(204);
    expect(await readJson(send("/get/t", { headers: { "X-Owner": "eve" } }))).toMatchObject([{ content: "by eve" }]);
  });
});

test("the newest messages are returned unchanged if no turn starts among them", async () => {
  const { send, backingStore } = await startThreads("direct", { limits: { messages: 2 } });
  await backingStore.appendMessages(ada("t"), [prompt(1), answer(1), message("r2", "p1", { role: "assistant", content: "More" })]);
  expect((await readJson<{ id: string }[]>(send("/get/t"))).map(({ id }) => id)).toEqual(["r1", "r2"]);
});
