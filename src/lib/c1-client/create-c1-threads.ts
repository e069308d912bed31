/** `createC1Threads`: calls the routes of `createThreadHandler` from the browser. */
import { throwUsageError } from "../core/usage-error.ts";
import { createSender, type HttpOptions, readError } from "./http.ts";
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
  /** How a partial answer ended. A complete answer has no status. */
  status?: "stopped" | "failed";
  /** The stored content of a prompt, if `content` differs from it. */
  storedContent?: unknown;
}

/** Options of {@link createC1Threads}. */
export interface C1ThreadsOptions extends HttpOptions {
  /** The URL of the thread handler, for example `/api/threads`. A slash at the end is ignored. */
  url: string;
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

/** A message in the form that the routes return. */
type ServerMessage =
  | { id: string; role: "user"; content: LoadedContent }
  | { id: string; role: "assistant"; content: string; status?: "stopped" | "failed" };

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
  const sendRequest = createSender(options);
  const url = options.url.replace(/\/+$/, "");
  let lastSave: Promise<unknown> = Promise.resolve();

  async function send(path: string, method = "GET", body?: object): Promise<Response> {
    const response = await sendRequest(url + path, { method, body });
    if (response.ok || (method === "DELETE" && response.status === 404)) return response;
    const failure = await readError(response);
    throw new Error(failure?.message ?? `${method} ${url + path} failed with status ${response.status}.`);
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
      const messages = await sendForJson<ServerMessage[]>(`/get${toQuery(threadId)}`);
      return messages.map(toC1Message);
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

function toC1Message(message: ServerMessage): C1Message {
  if (message.role === "assistant") {
    const { id, role, content, status } = message;
    return { id, role, content, ...(status && { status }) };
  }
  const { id, role, content } = message;
  const markup = toC1Markup(content);
  return { id, role, content: markup, ...(markup !== content && { storedContent: content }) };
}
