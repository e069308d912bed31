/** In the browser: what C1Chat's thread managers ask for, over the routes of `createThreadHandler`. */
import { throwUsageError } from "./lib/core/usage-error.ts";

/** A thread as C1Chat lists it. */
export interface C1Thread {
  /** The thread's id. */
  threadId: string;
  /** What the list shows. */
  title: string;
  /** When it was made. */
  createdAt: Date;
}

/** A message as C1Chat takes it. */
export interface C1Message {
  /** The id of the prompt, or the response id. */
  id: string;
  /** Who said it. */
  role: "user" | "assistant";
  /** In C1's own markup. */
  content: string;
}

/** Options of {@link createC1Threads}. */
export interface C1ThreadsOptions {
  /** Where the thread handler is mounted, for example `/api/threads`. A slash at its end makes no difference. */
  url: string;
  /** Further headers for each request, or a function that makes them, for example with a fresh token. @default none */
  headers?: Record<string, string> | (() => Record<string, string> | Promise<Record<string, string>>) | undefined;
  /** Sends the requests. @default `fetch`, which sends the cookies of this origin along */
  fetch?: typeof fetch | undefined;
}

/** The functions for C1Chat's thread managers. Each rejects with an `Error` that has the server's message, or says what answered instead. */
export interface C1Threads {
  /** All threads, up to 20 pages of the server's. */
  fetchThreadList(): Promise<C1Thread[]>;
  /** A thread with an id of its own. Nothing is sent: the server makes the thread when its first prompt comes. */
  createThread(firstMessage: { message?: string | undefined }): Promise<C1Thread>;
  /** Renames a thread. */
  updateThread(thread: C1Thread): Promise<C1Thread>;
  /** Deletes a thread; one that is gone already is no error. */
  deleteThread(threadId: string): Promise<void>;
  /** The messages of a thread, made safe for C1Chat: form state it could not read is left out. */
  loadThread(threadId: string): Promise<C1Message[]>;
  /** Saves the form state in an answer; one save after the other, so that the last one stays. */
  updateMessage(threadId: string | null, message: { id: string; role: string; content?: string | undefined }): Promise<void>;
}

/** A thread as the routes give it. */
interface ServedThread {
  id: string;
  title: string;
  createdAt: number;
}

/** How many pages of threads are read. */
const mostPages = 20;

/**
 * Makes the functions for C1Chat's thread managers.
 *
 * ```tsx
 * const threads = createC1Threads({ url: "/api/threads" });
 *
 * function Chat() {
 *   const threadListManager = useThreadListManager({ ...threads, onSelectThread() {}, onSwitchToNew() {} });
 *   const threadManager = useThreadManager({
 *     threadListManager,
 *     apiUrl: "/api/chat",
 *     loadThread: threads.loadThread,
 *     onUpdateMessage: ({ message }) => threads.updateMessage(threadListManager.selectedThreadId, message),
 *   });
 *   return <C1Chat threadManager={threadManager} threadListManager={threadListManager} />;
 * }
 * ```
 *
 * @throws TypeError where the options name no url.
 */
export function createC1Threads(options: C1ThreadsOptions): C1Threads {
  if (typeof options?.url !== "string")
    throwUsageError('pass where the thread handler is mounted, as in createC1Threads({ url: "/api/threads" })');
  const { headers, fetch: send = fetch } = options;
  const url = options.url.replace(/\/+$/, "");
  const ask = async (path: string, method = "GET", body?: object): Promise<Response> => {
    const response = await send(url + path, {
      method,
      headers: { ...(body && { "Content-Type": "application/json" }), ...(typeof headers === "function" ? await headers() : headers) },
      body: body ? JSON.stringify(body) : null,
    });
    if (response.ok || (method === "DELETE" && response.status === 404)) return response;
    const told = (await response.json().catch(() => undefined)) as { error?: { message?: string } } | null | undefined;
    throw new Error(told?.error?.message ?? `${method} ${url + path} gave ${response.status}`);
  };
  const read = async <T>(...[path, method = "GET", body]: Parameters<typeof ask>): Promise<T> => {
    const response = await ask(path, method, body);
    return response.json().catch((cause: unknown) => {
      // Anything else is a connection that broke off.
      if (!(cause instanceof SyntaxError)) throw cause;
      throw new Error(`${method} ${url + path} gave ${response.status}, but no JSON: is the thread handler mounted there?`, { cause });
    });
  };
  // In the query any id survives; in a path `..` would not.
  const query = (threadId: string) => `?threadId=${encodeURIComponent(threadId)}`;

  let saved: Promise<unknown> = Promise.resolve();

  return {
    async fetchThreadList() {
      const threads: C1Thread[] = [];
      let cursor: string | undefined;
      for (let page = 0; page < mostPages; page++) {
        const list = await read<{ threads: ServedThread[]; nextCursor?: string }>(cursor ? `/get?cursor=${cursor}` : "/get");
        threads.push(...list.threads.map(revived));
        cursor = list.nextCursor;
        if (!cursor) break;
      }
      return threads;
    },
    async createThread({ message = "" }) {
      return { threadId: crypto.randomUUID(), title: message, createdAt: new Date() };
    },
    async updateThread({ threadId, title }) {
      return revived(await read<ServedThread>(`/update${query(threadId)}`, "PATCH", { title }));
    },
    async deleteThread(threadId) {
      await ask(`/delete${query(threadId)}`, "DELETE");
    },
    async loadThread(threadId) {
      const messages = await read<(Omit<C1Message, "content"> & { content: Content })[]>(`/get${query(threadId)}`);
      return messages.map(({ id, role, content }) => ({ id, role, content: role === "user" ? asC1(content) : (content as string) }));
    },
    async updateMessage(threadId, message) {
      if (threadId === null) return;
      const save = () => ask("/message", "PATCH", { threadId, message });
      await (saved = saved.then(save, save));
    },
  };
}

const revived = ({ id, title, createdAt }: ServedThread): C1Thread => ({ threadId: id, title, createdAt: new Date(createdAt) });

type Content = string | { text?: string }[];

/**
 * A prompt in C1's markup. C1Chat reads all prompts of a thread as XML with JSON in `<context>`, and if one is broken it shows none
 * of the thread.
 */
function asC1(content: Content): string {
  const text = typeof content === "string" ? content : content.flatMap(({ text }) => text ?? []).join(" ");
  if (!/^\s*<content\b/.test(text)) return `<content thesys="true">${escaped(text)}</content>`;
  const start = text.indexOf("<context");
  if (start < 0) return text;
  const [, state = ""] = /^<context>([^<]*)<\/context>\s*$/.exec(text.slice(start)) ?? [];
  const shown = text.slice(0, start);
  try {
    return `${shown}<context>${escaped(JSON.stringify(JSON.parse(unescaped(state))))}</context>`;
  } catch {
    return shown;
  }
}

const entities: [entity: string, character: string][] = [
  ["&lt;", "<"],
  ["&gt;", ">"],
  ["&quot;", '"'],
  ["&#x27;", "'"], // read, never written
  ["&#39;", "'"],
  ["&amp;", "&"], // read last and written first
];
const unescaped = (text: string) => entities.reduce((text, [entity, character]) => text.replaceAll(entity, character), text);
const escaped = (text: string) => entities.reduceRight((text, [entity, character]) => text.replaceAll(character, entity), text);
