/** `createC1Threads`: calls the routes of `createThreadHandler` from the browser. */
import { throwUsageError } from "../core/usage-error.ts";
import { type LoadedContent, toC1Markup } from "./prompt-markup.ts";

/** A thread in the form that C1Chat lists. */
export interface C1Thread {
  /** The thread's id. */
  threadId: string;
  /** The title in the list. */
  title: string;
  /** When the thread was created. */
  createdAt: Date;
}

/** A message in the form that C1Chat shows. */
export interface C1Message {
  /** The id of the prompt, or the response id. */
  id: string;
  /** Who wrote it. */
  role: "user" | "assistant";
  /** C1's markup. */
  content: string;
}

/** Options of {@link createC1Threads}. */
export interface C1ThreadsOptions {
  /** The URL of the thread handler, for example `/api/threads`. A slash at the end is ignored. */
  url: string;
  /** Further headers of each request, or a function that returns them, for example with a new token. @default none */
  headers?: Record<string, string> | (() => Record<string, string> | Promise<Record<string, string>>) | undefined;
  /** Sends the requests. @default `fetch`, which includes the cookies of the same origin */
  fetch?: typeof fetch | undefined;
}

/** The functions that C1Chat's thread managers need. Each rejects with an `Error` that has the server's message. */
export interface C1Threads {
  /** Resolves to all threads, from at most 20 pages. */
  fetchThreadList(): Promise<C1Thread[]>;
  /** Creates an id for a thread. Sends no request: the first prompt creates the thread on the server. */
  createThread(firstMessage: { message?: string | undefined }): Promise<C1Thread>;
  /** Renames a thread. */
  updateThread(thread: C1Thread): Promise<C1Thread>;
  /** Deletes a thread. Resolves also if the thread does not exist. */
  deleteThread(threadId: string): Promise<void>;
  /** Resolves to the messages of a thread. Removes form state that C1Chat cannot parse, because it would show none of the thread. */
  loadThread(threadId: string): Promise<C1Message[]>;
  /** Saves the form state of an answer. Saves are sent one after the other, so the last one wins. */
  updateMessage(threadId: string | null, message: { id: string; role: string; content?: string | undefined }): Promise<void>;
}

/** A thread in the form that the routes return. */
interface ServerThread {
  id: string;
  title: string;
  createdAt: number;
}

/** Bounds the requests for one list. */
const maxPages = 20;

/**
 * Creates the functions that C1Chat's thread managers need. Runs in the browser.
 *
 * @throws TypeError if `url` is missing.
 *
 * @example
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
 */
export function createC1Threads(options: C1ThreadsOptions): C1Threads {
  if (typeof options?.url !== "string") {
    throwUsageError('url is missing. Pass the URL of the thread handler: createC1Threads({ url: "/api/threads" }).');
  }
  const { headers, fetch: sendRequest = fetch } = options;
  const url = options.url.replace(/\/+$/, "");
  let lastSave: Promise<unknown> = Promise.resolve();

  async function send(path: string, method = "GET", body?: object): Promise<Response> {
    const furtherHeaders = typeof headers === "function" ? await headers() : headers;
    const response = await sendRequest(url + path, {
      method,
      headers: { ...(body && { "Content-Type": "application/json" }), ...furtherHeaders },
      body: body ? JSON.stringify(body) : null,
    });
    if (response.ok || (method === "DELETE" && response.status === 404)) return response;
    const failure = (await response.json().catch(() => undefined)) as { error?: { message?: string } } | null | undefined;
    throw new Error(failure?.error?.message ?? `${method} ${url + path} failed with status ${response.status}.`);
  }

  async function sendForJson<T>(path: string, method = "GET", body?: object): Promise<T> {
    const response = await send(path, method, body);
    return response.json().catch((cause: unknown) => {
      // Any other error means that the connection broke.
      if (!(cause instanceof SyntaxError)) throw cause;
      const problem = `${method} ${url + path} returned ${response.status} without JSON.`;
      throw new Error(`${problem} Check that url is the URL of the thread handler.`, { cause });
    });
  }

  return {
    async fetchThreadList() {
      const threads: C1Thread[] = [];
      let cursor: string | undefined;
      for (let page = 0; page < maxPages; page++) {
        const list = await sendForJson<{ threads: ServerThread[]; nextCursor?: string }>(cursor ? `/get?cursor=${cursor}` : "/get");
        threads.push(...list.threads.map(toC1Thread));
        cursor = list.nextCursor;
        if (!cursor) break;
      }
      return threads;
    },

    async createThread({ message = "" }) {
      return { threadId: crypto.randomUUID(), title: message, createdAt: new Date() };
    },

    async updateThread({ threadId, title }) {
      return toC1Thread(await sendForJson<ServerThread>(`/update${toQuery(threadId)}`, "PATCH", { title }));
    },

    async deleteThread(threadId) {
      await send(`/delete${toQuery(threadId)}`, "DELETE");
    },

    async loadThread(threadId) {
      const messages = await sendForJson<{ id: string; role: C1Message["role"]; content: LoadedContent }[]>(`/get${toQuery(threadId)}`);
      return messages.map(({ id, role, content }) => ({ id, role, content: role === "user" ? toC1Markup(content) : (content as string) }));
    },

    async updateMessage(threadId, message) {
      if (threadId === null) return;
      const save = () => send("/message", "PATCH", { threadId, message });
      lastSave = lastSave.then(save, save);
      await lastSave;
    },
  };
}

/** Puts an id into the query, where it stays unchanged: a URL parser would resolve an id `..` in a path. */
function toQuery(threadId: string): string {
  return `?threadId=${encodeURIComponent(threadId)}`;
}

function toC1Thread({ id, title, createdAt }: ServerThread): C1Thread {
  return { threadId: id, title, createdAt: new Date(createdAt) };
}
