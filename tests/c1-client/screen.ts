/** What `useThreadManager` and `useThreadListManager` of C1Chat 0.10 do, without React: the same calls in the same order. */
import { setTimeout as delay } from "node:timers/promises";
import { type C1Chat, type C1ThreadManager, createC1Chat, createC1Threads } from "../../src/c1-client.ts";
import { createThreadHandler } from "../../src/threads.ts";
import { allowAnyone } from "../../src/index.ts";
import type { Chat } from "../support/chat.ts";

interface Shown {
  id: string;
  role: "user" | "assistant";
  content: string;
}

/** A page with C1Chat. */
export interface Screen {
  chat: C1Chat;
  /** Each message as `user text` or `assistant text`. */
  readonly shown: string[];
  readonly messages: readonly Shown[];
  readonly isRunning: boolean;
  /** Sends a prompt as a person does. Resolves when its answer has ended. Rejects if it broke. */
  send(text: string): Promise<void>;
  /** Presses Stop. */
  stop(): void;
  /** Selects a thread in the list. Resolves when it is loaded. */
  select(threadId: string): Promise<void>;
  /** Begins a new chat. */
  switchToNew(): void;
  /** Resolves when the condition holds. */
  until(condition: (screen: Screen) => boolean): Promise<void>;
  /** Method and path of each request that arrived, without ids. */
  readonly requests: string[];
}

/** Opens a page on a chat under test. `intercept` may change a response or fail in its place. */
export function openScreen(
  server: Chat,
  intercept: (request: Request, send: () => Promise<Response>) => Promise<Response> = (_, send) => send(),
): Screen {
  const threadHandler = createThreadHandler({ store: server.backingStore, authorize: allowAnyone });
  const requests: string[] = [];
  const reach = (request: Request): Promise<Response> => {
    const { pathname } = new URL(request.url);
    if (pathname.startsWith("/api/threads")) return threadHandler(request);
    if (pathname.endsWith("/stop")) return server.handler.stop(request);
    return request.method === "GET" ? server.handler.resume(request) : server.handler(request);
  };
  const fetch: typeof globalThis.fetch = (input, init) => {
    const request = new Request(new URL(input as string, "http://chat.test"), init);
    requests.push(`${request.method} ${new URL(request.url).pathname}`);
    return intercept(request, () => reach(request));
  };
  const threads = createC1Threads({ url: "/api/threads", fetch });
  const chat = createC1Chat({ url: "/api/chat", threads, fetch });

  let selected: string | null = null;
  let shouldLoad = false;
  let messages: Shown[] = [];
  let controller: AbortController | undefined;

  async function process(message: { id?: string; content: string }): Promise<void> {
    if (controller) return;
    const own = new AbortController();
    controller = own;
    own.signal.addEventListener("abort", () => (controller = undefined));
    try {
      const prompt: Shown = { id: crypto.randomUUID(), role: "user", ...message };
      const responseId = crypto.randomUUID();
      messages.push(prompt);
      if (selected === null) {
        selected = (await threads.createThread({})).threadId;
        shouldLoad = false;
        chat.onSelectThread(selected);
      }
      const response = await chat.processMessage({ threadId: selected, messages: [...messages], responseId, abortController: own });
      if (!response.ok) throw new Error(`HTTP error! status: ${response.status}`);
      const reader = response.body!.pipeThrough(new TextDecoderStream()).getReader();
      const answer: Shown = { id: responseId, role: "assistant", content: "" };
      for (let read = await reader.read(); !read.done; read = await reader.read()) {
        if (answer.content === "") messages.push(answer);
        answer.content += read.value;
      }
    } finally {
      if (controller === own) controller = undefined;
    }
  }

  const escape = (text: string) =>
    text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;").replaceAll('"', "&quot;").replaceAll("'", "&#39;");
  const toContent = (text: string, context?: unknown) =>
    `<content thesys="true">${escape(text)}</content>${context ? `<context>${escape(JSON.stringify(context))}</context>` : ""}`;

  const manager: C1ThreadManager = {
    processMessage: ({ id, message, context }) => process({ id, content: toContent(message, context) }),
    appendMessages(...added) {
      for (const message of added) {
        const content = message.role === "user" ? toContent(message.message, message.context) : message.message[0]!.templateProps.content;
        messages.push({ id: message.id, role: message.role, content });
      }
    },
    updateMessage: ({ id, message }) => {
      for (const shown of messages) if (shown.id === id) shown.content = message[0]!.templateProps.content;
    },
    deleteMessage: (id) => void (messages = messages.filter((message) => message.id !== id)),
  };
  chat.connect(manager);

  /** The effect of `useThreadManager`, which runs when one of its two dependencies has changed. */
  async function reset(): Promise<void> {
    controller?.abort();
    messages = [];
    if (selected !== null) {
      const loaded = await chat.loadThread(selected);
      messages = loaded.map(({ id, role, content }) => ({ id, role, content }));
    }
  }

  const screen: Screen = {
    chat,
    requests,
    get messages() {
      return messages;
    },
    get shown() {
      return messages.map(({ role, content }) => `${role} ${content.replace(/^<content thesys="true">(.*?)<\/content>/, "$1")}`);
    },
    get isRunning() {
      return controller !== undefined;
    },
    send: (text) => process({ content: toContent(text) }),
    stop: () => controller?.abort(),
    async select(threadId) {
      const isSame = selected === threadId && shouldLoad;
      selected = threadId;
      shouldLoad = true;
      chat.onSelectThread(threadId);
      await delay(0);
      if (!isSame) await reset();
    },
    switchToNew() {
      selected = null;
      shouldLoad = true;
      chat.onSwitchToNew();
      void reset();
    },
    async until(condition) {
      while (!condition(screen)) await delay(5);
    },
  };
  return screen;
}
