/** `createC1Chat` with a page that calls it like C1Chat, and a real handler behind it. */
import { setTimeout as delay } from "node:timers/promises";
import type { useThreadListManager, useThreadManager } from "@thesysai/genui-sdk";
import { describe, expect, expectTypeOf, test } from "vitest";
import { createC1Chat, createC1Threads } from "../../src/c1-client.ts";
import { type Chat, startChat, summarize } from "../support/chat.ts";
import { answerAfter, answerThenStall, createGate, echoPrompt, neverAnswer, sendPieces, textEvent } from "../support/model-scripts.ts";
import { failOnUnhandledErrors } from "../support/unhandled-errors.ts";
import { openScreen, type Screen } from "./screen.ts";

failOnUnhandledErrors();

const now = Promise.resolve();

/** The only thread. */
const threadIdOf = async ({ backingStore }: Chat): Promise<string> =>
  (await backingStore.listThreads("", { limit: 1 })).threads[0]!.threadId;
const storedIn = async (server: Chat): Promise<string[]> =>
  summarize(await server.listStored(await threadIdOf(server))).map((line) => line.replace(/^(\w+) \S+ /, "$1 "));
const wrap = (text: string) => `<content thesys=\\"true\\">${text}</content>`;

/** Sends a prompt and waits for its first text. */
async function sendUntil(screen: Screen, prompt: string, text: string): Promise<{ ended: Promise<unknown> }> {
  const ended = screen.send(prompt).catch((error: unknown) => error);
  await screen.until(({ shown }) => shown.at(-1)?.startsWith(`assistant ${text}`) ?? false);
  return { ended };
}

test("the functions have the types that C1Chat's thread managers expect", () => {
  const threads = createC1Threads({ url: "/api/threads" });
  const chat = createC1Chat({ url: "/api/chat", threads });
  type ListParams = Parameters<typeof useThreadListManager>[0];
  type ThreadParams = Parameters<typeof useThreadManager>[0];
  expectTypeOf({ ...threads, ...chat }).toExtend<ListParams>();
  expectTypeOf(chat.loadThread).toExtend<ThreadParams["loadThread"]>();
  expectTypeOf(chat.processMessage).toExtend<NonNullable<ThreadParams["processMessage"]>>();
  expectTypeOf<Parameters<ThreadParams["onUpdateMessage"]>[0]["message"]>().toExtend<Parameters<typeof chat.updateMessage>[0]>();
  expectTypeOf<ReturnType<typeof useThreadManager>>().toExtend<Parameters<typeof chat.connect>[0]>();
});

describe("a running answer", () => {
  test("is shown in a second page, which can stop it for both", async () => {
    const server = await startChat({ script: answerThenStall("Once "), disconnect: "continue" });
    const [first, second] = [openScreen(server), openScreen(server)];
    const { ended } = await sendUntil(first, "Hi", "Once");
    await second.select(await threadIdOf(server));
    await second.until(({ shown }) => shown.length === 2);
    expect(second.shown).toEqual(["user Hi", "assistant Once "]);
    second.stop();
    expect(await ended).toBeInstanceOf(Error);
    await server.waitForTurns();
    for (const { chat, messages } of [first, second]) {
      await first.until(() => chat.getUnfinished() !== undefined);
      expect(chat.getUnfinished()).toEqual({ messageId: messages[1]!.id, status: "stopped" });
      expect(chat.getStatus(messages[1]!.id)).toBe("stopped");
      expect(chat.getStatus(messages[0]!.id)).toBeUndefined();
    }
    expect(await storedIn(server)).toEqual([`user complete "${wrap("Hi")}"`, 'assistant stopped "Once "']);
  });

  test("goes on after its connection broke, without a gap and without a second model call", async () => {
    const gate = createGate();
    const server = await startChat({ script: answerAfter([now, "Grüße "], [gate.opened, "an alle."]), disconnect: "continue" });
    const screen = openScreen(server, async (request, send) => {
      const response = await send();
      return request.method === "POST" ? cutAfterFirstRead(response) : response;
    });
    const { ended } = await sendUntil(screen, "Hi", "Grüße");
    gate.open();
    expect(await ended).toBeUndefined();
    expect(screen.shown).toEqual(["user Hi", "assistant Grüße an alle."]);
    expect(screen.chat.getUnfinished()).toBeUndefined();
    expect(server.model.calls).toHaveLength(1);
  });

  test("is sent again through a proxy that does not reach the handler, and not after an error of the handler", async () => {
    const server = await startChat();
    let failures = 2;
    const screen = openScreen(server, async (request, send) => {
      if (request.method !== "POST" || failures-- <= 0) return send();
      if (failures === 1) return new Response("<h1>Bad gateway</h1>", { status: 502 });
      throw new TypeError("Failed to fetch");
    });
    await screen.send("Hi");
    expect(screen.shown).toEqual(["user Hi", `assistant Answer to <content thesys="true">Hi</content>.`]);
    expect(screen.requests).toEqual(["POST /api/chat", "POST /api/chat", "POST /api/chat"]);
    server.model.next((call) => call.head(500));
    await expect(screen.send("Again")).rejects.toThrow("HTTP error! status: 502");
    expect(screen.requests).toHaveLength(4);
    expect(screen.chat.getUnfinished()).toEqual({ messageId: undefined, status: "failed" });
  });

  test("goes on on the server when another thread, a new chat or the same thread is selected", async () => {
    const gate = createGate();
    const server = await startChat({ script: answerAfter([now, "One "], [gate.opened, "two."]), disconnect: "continue" });
    const screen = openScreen(server);
    await sendUntil(screen, "Hi", "One");
    const threadId = await threadIdOf(server);
    await screen.select(threadId); // again, with its messages
    await screen.until(({ shown }) => shown.length === 2);
    screen.switchToNew();
    await screen.select("another").catch(() => {});
    await screen.select(threadId);
    await screen.until(({ shown }) => shown.length === 2);
    gate.open();
    await screen.until(({ isRunning }) => !isRunning);
    expect(screen.shown).toEqual(["user Hi", "assistant One two."]);
    expect(screen.requests).not.toContain("POST /api/chat/stop");
    expect(screen.chat.getUnfinished()).toBeUndefined();
    expect(server.model.calls).toHaveLength(1);
  });

  test("can be stopped before its first text, also by a page that does not know its id", async () => {
    const server = await startChat({ script: neverAnswer, disconnect: "continue" });
    const [first, second] = [openScreen(server), openScreen(server)];
    const ended = first.send("Hi").catch((error: unknown) => error);
    await server.model.call(0);
    await second.select(await threadIdOf(server));
    await second.until(({ isRunning }) => isRunning);
    second.stop();
    expect(await ended).toMatchObject({ message: "HTTP error! status: 409" });
    expect(first.chat.getUnfinished()).toEqual({ messageId: undefined, status: "stopped" });
    expect(second.chat.getUnfinished()).toEqual({ messageId: undefined, status: "stopped" });
    expect(server.model.calls).toHaveLength(1);
  });
});

test("a server that names a complete answer as running is asked a few times, ever later", async () => {
  const server = await startChat();
  await openScreen(server).send("Hi");
  const threadId = await threadIdOf(server);
  const responseId = (await server.listStored(threadId))[1]!.id;
  const times: number[] = [];
  const screen = openScreen(server, (request, send) => {
    const { pathname, search } = new URL(request.url);
    if (pathname !== "/api/chat") return send();
    times.push(performance.now());
    return server.handler.resume(new Request(`http://chat.test/api/chat${search}&responseId=${responseId}`));
  });
  await screen.select(threadId);
  await screen.until(() => times.length === 4);
  const waits = times.slice(1).map((time, index) => time - times[index]!);
  expect(waits.map((wait, index) => wait > [200, 700, 1900][index]!)).toEqual([true, true, true]);
  await delay(500);
  expect(times).toHaveLength(4);
  expect(screen.shown).toEqual(["user Hi", `assistant Answer to <content thesys="true">Hi</content>.`]);
});

describe("a partial answer", () => {
  test("is marked after loading, and a retry replaces it under its id", async () => {
    const server = await startChat({ script: sendPieces(textEvent("Par")) });
    const first = openScreen(server);
    await expect(first.send("Hi")).rejects.toThrow("broke off");
    expect(first.chat.getUnfinished()).toEqual({ messageId: first.messages[1]!.id, status: "failed" });
    await server.waitForTurns();
    const screen = openScreen(server);
    await screen.select(await threadIdOf(server));
    const [, answer] = await server.listStored(await threadIdOf(server));
    await screen.until(({ requests }) => requests.includes("GET /api/chat"));
    expect(screen.chat.getUnfinished()).toEqual({ messageId: answer!.id, status: "failed" });
    expect(screen.chat.getUnfinished()).toBe(screen.chat.getUnfinished());

    server.model.always(echoPrompt);
    await screen.until(({ isRunning }) => !isRunning);
    await retryWhenIdle(screen);
    expect(screen.shown).toEqual(["user Hi", `assistant Answer to <content thesys="true">Hi</content>.`]);
    expect(screen.chat.getUnfinished()).toBeUndefined();
    const stored = await server.listStored(await threadIdOf(server));
    expect(stored.map(({ id, status }) => [id, status])).toEqual([
      [stored[0]!.id, "complete"],
      [answer!.id, "complete"],
    ]);
    // Form state of the answer, whose id on the screen is another one.
    const shown = screen.messages[1]!;
    expect(shown.id).not.toBe(answer!.id);
    await screen.chat.updateMessage({ id: shown.id, role: "assistant", content: `${shown.content}<context>[{}]</context>` });
    expect((await server.listStored(await threadIdOf(server)))[1]!.message.content).toContain("<context>[{}]</context>");
  });

  test.each([
    ["plain text", "A & <B>"],
    ["content parts", [{ type: "text", text: "What?" }]],
    [
      "form state",
      `<content thesys="true">Send</content><context>[&quot;User clicked&quot;,[{&quot;a&quot;:&quot;&#39;&quot;}]]</context>`,
    ],
    ["form state that is not JSON", `<content thesys="true">Send</content><context>[broken</context>`],
  ])("is retried with its prompt as it is stored: %s", async (_, content) => {
    const server = await startChat();
    const prompt = { id: "p1", promptId: "p1", message: { role: "user", content } as never, status: "complete", createdAt: 1 } as const;
    await server.backingStore.appendMessages({ owner: "", threadId: "t" }, [prompt]);
    const screen = openScreen(server);
    await screen.select("t");
    await screen.until(({ chat }) => chat.getUnfinished() !== undefined);
    expect(screen.chat.getUnfinished()).toEqual({ messageId: undefined, status: "failed" });
    const [before] = screen.messages;
    await retryWhenIdle(screen);
    expect(screen.messages[0]).toEqual(before);
    expect(screen.messages).toHaveLength(2);
    expect(await server.listStored("t")).toMatchObject([{ message: { content } }, { id: screen.messages[1]!.id, status: "complete" }]);
  });

  test("an error card is replaced by the answer", async () => {
    const server = await startChat({ showErrors: true });
    server.model.next((call) => call.head(500));
    const screen = openScreen(server);
    await screen.send("Hi");
    expect(screen.shown[1]).toContain("The model could not answer");
    expect(screen.chat.getUnfinished()).toEqual({ messageId: screen.messages[1]!.id, status: "failed" });
    await screen.chat.retry();
    expect(screen.shown).toEqual(["user Hi", `assistant Answer to <content thesys="true">Hi</content>.`]);
    expect(screen.chat.getUnfinished()).toBeUndefined();
  });
});

describe("refresh", () => {
  test("shows what another page has added, and what runs there", async () => {
    const gate = createGate();
    const server = await startChat({ disconnect: "continue" });
    const [first, second] = [openScreen(server), openScreen(server)];
    await first.send("One");
    await second.select(await threadIdOf(server));
    await second.until(({ requests, isRunning }) => requests.includes("GET /api/chat") && !isRunning);
    await first.send("Two");
    server.model.next(answerAfter([now, "It runs "], [gate.opened, "to its end."]));
    const { ended } = await sendUntil(first, "Three", "It runs");
    const refreshed = second.until(({ chat }) => chat.getUnfinished() === undefined).then(() => second.chat.refresh());
    await second.until(({ shown }) => shown.at(-1) === "assistant It runs ");
    gate.open();
    await Promise.all([ended, refreshed]);
    expect(second.shown).toEqual(first.shown);
    expect(second.shown).toHaveLength(6);
  });

  test("makes an answer whole that another page has retried", async () => {
    const server = await startChat({ script: sendPieces(textEvent("Par")) });
    const [first, second] = [openScreen(server), openScreen(server)];
    await expect(first.send("Hi")).rejects.toThrow("broke off");
    await second.select(await threadIdOf(server));
    await second.until(({ requests }) => requests.includes("GET /api/chat"));
    server.model.always(echoPrompt);
    await first.chat.retry();
    while (second.chat.getUnfinished()) await second.chat.refresh();
    expect(second.shown).toEqual(first.shown);
  });
});

test("a thread that loads late is not shown in place of another one", async () => {
  const server = await startChat();
  const gate = createGate();
  const screen = openScreen(server, async (request, send) => {
    if (request.url.includes("threadId=slow")) await gate.opened;
    return send();
  });
  for (const threadId of ["slow", "fast"]) {
    const prompt = {
      id: threadId,
      promptId: threadId,
      message: { role: "user", content: threadId } as const,
      status: "complete",
      createdAt: 1,
    } as const;
    await server.backingStore.appendMessages({ owner: "", threadId }, [prompt]);
  }
  void screen.select("slow");
  await screen.until(({ requests }) => requests.length === 1);
  await screen.select("fast");
  gate.open();
  await screen.until(({ chat }) => chat.getUnfinished() !== undefined);
  await delay(50);
  expect(screen.shown).toEqual(["user fast"]);
});

test("names what is missing", async () => {
  const threads = createC1Threads({ url: "/api/threads" });
  expect(() => createC1Chat({ threads } as never)).toThrow("url is missing");
  expect(() => createC1Chat({ url: "/api/chat" } as never)).toThrow("threads is missing");
  const chat = createC1Chat({ url: "/api/chat", threads });
  const prompt = { threadId: "t", messages: [], responseId: "r", abortController: new AbortController() };
  await expect(chat.processMessage(prompt)).rejects.toThrow("Pass onSelectThread and onSwitchToNew to useThreadListManager");
  await expect(chat.loadThread("t")).rejects.toThrow("Pass onSelectThread and onSwitchToNew");
});

/** Presses the button: it does nothing while the page still asks what runs. */
async function retryWhenIdle(screen: Screen): Promise<void> {
  await screen.until(() => screen.requests.includes("GET /api/chat"));
  for (let tries = 0; tries < 20 && screen.chat.getUnfinished(); tries++) {
    await screen.chat.retry();
    await delay(10);
  }
}

/** Breaks a response after its first piece, as a lost connection does. */
function cutAfterFirstRead(response: Response): Response {
  const reader = response.body!.getReader();
  let reads = 0;
  const body = new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        if (reads++ > 0) {
          await reader.cancel();
          controller.error(new TypeError("network error"));
          return;
        }
        const { value } = await reader.read();
        controller.enqueue(value!);
      },
    },
    { highWaterMark: 0 },
  );
  return new Response(body, { headers: response.headers });
}
