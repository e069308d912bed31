import { describe, expect, test } from "vitest";
import { chatBody, expectError, readResponse, startChat } from "../support/chat.ts";
import { forEachConcurrently } from "../support/expectations.ts";
import { failOnUnhandledErrors } from "../support/unhandled-errors.ts";
import { answerWith, answerThenStall } from "../support/model-scripts.ts";
import { ada, answer, message, readJson, prompt, startThreads, type Threads, variants } from "./setup.ts";

failOnUnhandledErrors();

const card = '<content thesys="true">{"component":"Form","props":{"name":"contact"}}</content>';

/** Form state in C1's markup. */
const context = (value: string) =>
  `<context>[{&quot;contact&quot;:{&quot;fullname&quot;:{&quot;value&quot;:&quot;${value}&quot;,&quot;componentType&quot;:&quot;Input&quot;}}}]</context>`;

const save = ({ send }: Pick<Threads, "send">, content: unknown, more: object = {}, threadId: unknown = "t") =>
  send("/message", { method: "PATCH", body: { threadId, message: { id: "r1", role: "assistant", content, ...more } } });

const loaded = async ({ send }: Threads, id = "r1", threadId = "t") =>
  (await readJson<{ id: string; content: unknown }[]>(send(`/get/${threadId}`))).find((message) => message.id === id)?.content;

describe.each(variants)("%s", (via) => {
  const started = async (content = card) => {
    const threads = await startThreads(via);
    await threads.backingStore.appendMessages(ada("t"), [prompt(1), answer(1, content, { finishReason: "stop" }), prompt(2), answer(2)], {
      title: "T",
    });
    return threads;
  };
  const writes = ({ store }: Threads) => store.calls.filter(({ method }) => method === "updateMessage").length;

  test("is stored in the answer and loaded with it, and nothing else changes", async () => {
    const threads = await started();
    const before = await threads.backingStore.listMessages(ada("t"));
    const response = await save(threads, card + context("Ada"));
    expect([response.status, await response.text()]).toEqual([204, ""]);
    expect(await loaded(threads)).toBe(card + context("Ada"));
    const after = structuredClone(before);
    after[1]!.message.content = card + context("Ada");
    expect(await threads.backingStore.listMessages(ada("t"))).toEqual(after);
  });

  test("is stored in an answer whose prompt was deleted, and keeps the answer's other fields", async () => {
    const threads = await startThreads(via);
    const said = { role: "assistant", content: card, name: "form_filler", refusal: null };
    await threads.backingStore.appendMessages(ada("t"), [prompt(1), message("r1", "p1", said)]);
    await threads.backingStore.deleteMessages(ada("t"), ["p1"]);
    expect((await save(threads, card + context("Ada"))).status).toBe(204);
    expect((await threads.backingStore.listMessages(ada("t")))[0]?.message).toEqual({ ...said, content: card + context("Ada") });
  });

  test("is replaced, and removed if it is missing", async () => {
    const threads = await started();
    for (const content of [card + context("A"), card + context("Ada"), card + context(""), card]) {
      expect((await save(threads, content)).status).toBe(204);
      expect(await loaded(threads)).toBe(content);
    }
  });

  test("is written once if it is saved four times", async () => {
    const threads = await started();
    const responses = await Promise.all([1, 2, 3, 4].map(() => save(threads, card + context("Ada"))));
    await save(threads, card + context("Ada"));
    expect(responses.map(({ status }) => status)).toEqual([204, 204, 204, 204]);
    expect(await loaded(threads)).toBe(card + context("Ada"));
    const written = writes(threads);
    await save(threads, card + context("Ada"));
    expect(writes(threads)).toBe(written);
  });

  test("does not accumulate the line breaks that C1 adds before it", async () => {
    const threads = await started();
    for (const breaks of ["\n", "\n\n", "\n\n\n"]) await save(threads, card + breaks + context("Ada"));
    expect(await loaded(threads)).toBe(card + context("Ada"));
  });

  test("keeps a line break at the end of the answer", async () => {
    const threads = await started(`${card}\n`);
    await save(threads, `${card}\n${context("Ada")}`);
    expect(await loaded(threads)).toBe(`${card}\n${context("Ada")}`);
  });

  test("cannot change the text of the answer", async () => {
    const threads = await started();
    const rewritten = [
      "",
      " ",
      "I promise a refund.",
      `I promise a refund.${context("Ada")}`,
      card.replace("contact", "refund") + context("Ada"),
      `${card}I promise a refund.${context("Ada")}`,
      `${card}${context("Ada")}I promise a refund.`,
      `${card}${context("Ada")}${context("I promise a refund.")}`,
      `I promise a refund.${card}${context("Ada")}`,
      ` ${card}`,
      card.slice(0, -1),
      `${card}<context>[{}]`,
      `${card}</context>[{}]<context>`,
    ];
    await forEachConcurrently(rewritten, async (content) => {
      expect(await expectError(await save(threads, content), 409, "form_mismatch")).toMatchObject({ param: "message.content" });
    });
    expect(await loaded(threads)).toBe(card);
    expect(writes(threads)).toBe(0);
  });

  test("an answer may contain the text <context>", async () => {
    const spoken = [
      "The tag <context> opens and </context> closes.",
      'Send <context>{"a":1}</context> with it.',
      "It is <context>x</context>",
    ];
    await forEachConcurrently(spoken, async (said) => {
      const threads = await started(said);
      for (const cut of [said.replace(/<context>.*<\/context>/, ""), said.split("<context>")[0]!]) {
        await expectError(await save(threads, cut + context("Ada")), 409, "form_mismatch");
      }
      for (const name of ["Ada", "Eve"]) {
        expect((await save(threads, said + context(name))).status).toBe(204);
        expect(await loaded(threads)).toBe(said + context(name));
      }
    });
  });

  test("is rejected if the browser could not parse it", async () => {
    const threads = await started();
    const broken = [
      "",
      "x",
      "[{",
      "[{&quot;a&quot;:1}",
      "null",
      "1",
      "true",
      "&quot;text&quot;",
      "[1]",
      "[null]",
      "[{},null]",
      "&lt;b&gt;",
      '[{"a":"<b>"}]',
      '[{"a":"</context>"}]',
    ];
    await forEachConcurrently(broken, async (state) => {
      const error = await expectError(await save(threads, `${card}<context>${state}</context>`), 400, "invalid_request");
      expect(error).toMatchObject({ param: "message.content" });
    });
    await forEachConcurrently(["{}", "[]", "[{}]", '[{"a":"&amp;&#39;"}]', "{&quot;a&quot;:null}", '[{"a":"b < c"}]'], async (state) => {
      expect((await save(threads, `${card}<context>${state}</context>`)).status).toBe(204);
    });
    expect((await save(threads, `${card}<context>[{"a":"${"x".repeat(20_000)}"}]</context>`)).status).toBe(400);
  });

  test("is rejected for partial answers", async () => {
    const threads = await startThreads(via);
    const call = { id: "x", type: "function", function: { name: "look", arguments: "{}" } };
    await threads.backingStore.appendMessages(ada("t"), [
      prompt(1, card),
      message("s", "p1", { role: "system", content: card }),
      message("c", "p1", { role: "assistant", content: card, tool_calls: [call] }),
      message("x", "p1", { role: "tool", content: card, tool_call_id: "x" }),
      answer(1, card),
      prompt(2),
      answer(2, card, { status: "stopped" }),
      prompt(3),
      answer(3, card, { status: "failed" }),
      prompt(4),
      message("c4", "p4", { role: "assistant", content: null, tool_calls: [call] }),
      message("x4", "p4", { role: "tool", content: card, tool_call_id: "x" }),
      prompt(5),
      answer(5, ""),
      prompt(6),
      answer(6, [{ type: "text", text: card }]),
    ]);
    const before = await threads.backingStore.listMessages(ada("t"));
    await forEachConcurrently(["p1", "s", "c", "x", "c4", "x4", "r5", "r6", "unknown", "__proto__"], async (id) => {
      const error = await expectError(await save(threads, card + context("Ada"), { id }), 404, "not_found");
      expect(error.message).toBe("There is no such thread or answer.");
    });
    for (const id of ["r2", "r3"]) await expectError(await save(threads, card + context("Ada"), { id }), 409, "form_mismatch");
    await expectError(await save(threads, card + context("Ada"), {}, "unknown"), 404, "not_found");
    expect(await threads.backingStore.listMessages(ada("t"))).toEqual(before);
    expect(await threads.backingStore.getThread(ada("unknown"))).toBeUndefined();
  });

  test("is compared with the streamed text of an answer with tool calls", async () => {
    const threads = await startThreads(via);
    const call = { id: "x", type: "function", function: { name: "look", arguments: "{}" } };
    const step = message("c", "p1", { role: "assistant", content: "Let me look. ", tool_calls: [call] });
    const result = message("x", "p1", { role: "tool", content: "42", tool_call_id: "x" });
    await threads.backingStore.appendMessages(ada("t"), [prompt(1), step, result, answer(1, card)]);
    await expectError(await save(threads, card + context("Ada")), 409, "form_mismatch");
    expect((await save(threads, `Let me look. ${card}${context("Ada")}`)).status).toBe(204);
    expect(await loaded(threads)).toBe(`Let me look. ${card}${context("Ada")}`);
    expect(await threads.backingStore.listMessages(ada("t"))).toEqual([prompt(1), step, result, answer(1, card + context("Ada"))]);
  });

  test("finds an old answer in a long thread, and reads few messages for a recent one", async () => {
    const threads = await startThreads(via);
    const all = Array.from({ length: 200 }, (_, n) => [prompt(n), answer(n, card)]).flat();
    await threads.backingStore.appendMessages(ada("t"), all);
    expect((await save(threads, card + context("Ada"), { id: "r199" })).status).toBe(204);
    expect(threads.store.calls.map(({ method, args }) => [method, args[1]])).toEqual([
      ["listMessages", { last: 50, maxCharacters: 15_100_000 }],
      ["updateMessage", "r199"],
    ]);
    for (const id of ["r0", "r174", "r175", "r176"]) {
      expect((await save(threads, card + context("Ada"), { id })).status).toBe(204);
      expect(await loaded(threads, id)).toBe(card + context("Ada"));
    }
  });

  test("compares the whole answer, even if its start is further back than the first read", async () => {
    const threads = await startThreads(via);
    const call = { id: "x", type: "function", function: { name: "look", arguments: "{}" } };
    const later = Array.from({ length: 24 }, (_, n) => [prompt(n + 2), answer(n + 2)]).flat();
    await threads.backingStore.appendMessages(ada("t"), [
      prompt(1),
      message("c", "p1", { role: "assistant", content: "Let me look. ", tool_calls: [call] }),
      message("x", "p1", { role: "tool", content: "42", tool_call_id: "x" }),
      answer(1, card),
      ...later,
    ]);
    expect((await save(threads, `Let me look. ${card}${context("Ada")}`)).status).toBe(204);
  });

  test("is stored in an answer whose prompt is just past limits.messages, and in none that is past it itself", async () => {
    const threads = await startThreads(via, { limits: { messages: 60 } });
    const later = Array.from({ length: 29 }, (_, n) => [prompt(n + 2), answer(n + 2)]).flat();
    await threads.backingStore.appendMessages(ada("t"), [prompt(1), answer(1, card), ...later, prompt("end")]);
    expect((await save(threads, card + context("Ada"))).status).toBe(204);
    expect((await threads.backingStore.listMessages(ada("t")))[1]).toMatchObject({ message: { content: card + context("Ada") } });
    await threads.backingStore.appendMessages(ada("t"), [answer("end")]);
    expect((await save(threads, card + context("Bob"))).status).toBe(404);
  });

  test("is separate for each owner", async () => {
    const threads = await started();
    await threads.backingStore.appendMessages({ owner: "eve", threadId: "t" }, [prompt(1), answer(1, card)]);
    const body = { threadId: "t", message: { id: "r1", role: "assistant", content: card + context("Eve") } };
    expect((await threads.send("/message", { method: "PATCH", body, headers: { "X-Owner": "eve" } })).status).toBe(204);
    expect(await loaded(threads)).toBe(card);
  });

  test("works with unusual ids", async () => {
    const threads = await startThreads(via);
    for (const threadId of ["a/b", "a%2Fb", "..", "?#"]) {
      await threads.backingStore.appendMessages(ada(threadId), [prompt(1), answer(1, card), prompt("%2F"), answer("%2F", card)]);
      expect((await save(threads, card + context(threadId), { id: "r%2F" }, threadId)).status).toBe(204);
    }
    for (const threadId of ["a/b", "a%2Fb", "..", "?#"]) {
      const stored = await threads.backingStore.listMessages(ada(threadId));
      expect(stored.map(({ message }) => message.content)).toEqual(["Prompt 1", card, "Prompt %2F", card + context(threadId)]);
    }
  });

  test("can be saved as soon as the answer ends, and later turns and replays have it", async () => {
    const chat = await startChat({ via, authorize: () => ({ owner: "ada" }), script: answerWith(card.slice(0, 20), card.slice(20)) });
    const threads = await startThreads(via, { store: chat.backingStore });
    const { text } = await readResponse(chat.post(chatBody("Form, please")));
    expect((await save(threads, text + context("Ada"))).status).toBe(204);
    expect(await loaded(threads)).toBe(card + context("Ada"));
    expect(await readResponse(chat.post(chatBody("Form, please")))).toEqual({ status: 200, text: card + context("Ada"), failed: false });
    await readResponse(chat.post(chatBody("Go on", 2)));
    expect(chat.model.calls.at(-1)?.body.messages[1]).toEqual({ role: "assistant", content: card + context("Ada") });
    expect(chat.model.calls).toHaveLength(2);
  });

  test("is rejected at once while the answer is running", async () => {
    const chat = await startChat({ via, authorize: () => ({ owner: "ada" }), script: answerThenStall(card) });
    const threads = await startThreads(via, { store: chat.backingStore });
    const leaving = new AbortController();
    const response = await chat.post(chatBody("Form, please"), { signal: leaving.signal });
    await response.body?.getReader().read();
    await expectError(await save(threads, card + context("Ada")), 404, "not_found");
    leaving.abort();
    await chat.waitForTurns();
    await expectError(await save(threads, card + context("Ada")), 409, "form_mismatch");
    expect(await loaded(threads)).toBe(card);
    // After a retry the answer is complete and accepts form state.
    chat.model.always(answerWith(card, "!"));
    await readResponse(chat.post(chatBody("Form, please")));
    expect((await save(threads, `${card}!${context("Ada")}`)).status).toBe(204);
  });

  test("does not restore a thread that was deleted meanwhile", async () => {
    const threads = await started();
    threads.store.injectFaults(({ method }) =>
      method === "updateMessage" ? { before: threads.backingStore.deleteThread(ada("t")) } : undefined,
    );
    await expectError(await save(threads, card + context("Ada")), 404, "not_found");
    expect(await threads.backingStore.getThread(ada("t"))).toBeUndefined();
  });
});
