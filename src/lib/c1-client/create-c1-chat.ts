/** `createC1Chat`: answers in C1Chat that outlive a reload and a lost connection. */
import { throwUsageError } from "../core/usage-error.ts";
import { createChatRequests } from "./chat-requests.ts";
import type { C1Message, C1Threads } from "./create-c1-threads.ts";
import { createSender, type HttpOptions } from "./http.ts";
import { ChatSession } from "./chat-session.ts";
import type { C1Prompt, C1ThreadManager } from "./shown-messages.ts";
import type { C1UnfinishedTurn } from "./thread-view.ts";

/** Options of {@link createC1Chat}. */
export interface C1ChatOptions extends HttpOptions {
  /** The URL of the chat handler, for example `/api/chat`. */
  url: string;
  /** The URL of `chat.resume`. @default the value of `url` */
  resumeUrl?: string | undefined;
  /** The URL of `chat.stop`. @default the value of `url`, followed by `/stop` */
  stopUrl?: string | undefined;
  /** Loads threads and saves form state: the result of `createC1Threads`. */
  threads: Pick<C1Threads, "loadThread" | "updateMessage">;
}

/** The functions that C1Chat's thread managers need, and what the page shows beside the answers. */
export interface C1Chat {
  /** Pass it to `useThreadListManager`, or call it there. It distinguishes Stop from the selection of another thread. */
  onSelectThread(threadId: string): void;
  /** Pass it to `useThreadListManager`, or call it there. */
  onSwitchToNew(): void;
  /** Pass it to `useThreadManager`. Resolves to the messages of a thread. Then shows the answer that is being written. */
  loadThread(threadId: string): Promise<C1Message[]>;
  /**
   * Pass it to `useThreadManager`. Sends a prompt. The response goes on after a lost connection. Stop ends the answer on the server, a reload or
   * another thread does not.
   */
  processMessage(prompt: C1Prompt): Promise<Response>;
  /** Call it in `onUpdateMessage` of `useThreadManager`. Saves form state. Rejects if it cannot be saved. */
  updateMessage(message: { id: string; role: string; content?: string | undefined }): Promise<void>;
  /** Connects the thread manager in which running answers are shown. Call it in an effect. Returns the function that disconnects it. */
  connect(threadManager: C1ThreadManager): () => void;
  /** Shows what another tab has added to the thread, and the answer that is being written. Never rejects. */
  refresh(): Promise<void>;
  /** Requests the answer to the newest prompt again, if it is partial or missing. Resolves when it has ended, complete or not. Never rejects. */
  retry(): Promise<void>;
  /** Returns the newest turn, if its answer is partial or missing and nothing runs. The same object until something changes. */
  getUnfinished(): C1UnfinishedTurn | undefined;
  /** Returns how a partial answer on the screen ended. `undefined` for every other message. */
  getStatus(messageId: string): "stopped" | "failed" | undefined;
  /** Calls the listener after each change of `getUnfinished` and `getStatus`. Returns the function that ends it. */
  subscribe(listener: () => void): () => void;
}

/**
 * Creates what C1Chat needs so that answers outlive their connection. Runs in the browser.
 *
 * After a reload, in a second tab and after a change of the thread, the page shows the running answer, which grows to its end. A lost connection is
 * resumed. Stop stops the answer on the server for good. Partial answers are marked, and can be retried.
 *
 * The server needs `chat.resume` for GET at `resumeUrl`, `chat.stop` for POST at `stopUrl`, and another `disconnect` than `"stop"`.
 *
 * @throws TypeError if `url` or `threads` is missing.
 *
 * @example
 * ```tsx
 * const threads = createC1Threads({ url: "/api/threads" });
 * const chat = createC1Chat({ url: "/api/chat", threads });
 *
 * function Chat() {
 *   const { onSelectThread, onSwitchToNew, loadThread, processMessage } = chat;
 *   const threadListManager = useThreadListManager({ ...threads, onSelectThread, onSwitchToNew });
 *   const threadManager = useThreadManager({
 *     threadListManager,
 *     loadThread,
 *     processMessage,
 *     onUpdateMessage: ({ message }) => chat.updateMessage(message),
 *   });
 *   useEffect(() => chat.connect(threadManager));
 *   const unfinished = useSyncExternalStore(chat.subscribe, chat.getUnfinished);
 *   return (
 *     <>
 *       <C1Chat threadManager={threadManager} threadListManager={threadListManager} />
 *       {unfinished && <button onClick={chat.retry}>Try again</button>}
 *     </>
 *   );
 * }
 * ```
 */
export function createC1Chat(options: C1ChatOptions): C1Chat {
  if (typeof options?.url !== "string") {
    throwUsageError('url is missing. Pass the URL of the chat handler: createC1Chat({ url: "/api/chat", threads }).');
  }
  const { url, resumeUrl = url, stopUrl = `${url.replace(/\/+$/, "")}/stop`, threads } = options;
  if (typeof threads?.loadThread !== "function") {
    throwUsageError("threads is missing. Pass the result of createC1Threads: createC1Chat({ url, threads }).");
  }
  const session = new ChatSession(createChatRequests({ url, resumeUrl, stopUrl }, createSender(options)), threads);
  return {
    onSelectThread: (threadId) => session.select(threadId),
    onSwitchToNew: () => session.select(null),
    loadThread: (threadId) => session.load(threadId),
    processMessage: (prompt) => session.process(prompt),
    updateMessage: (message) => session.updateMessage(message),
    connect: (threadManager) => session.connect(threadManager),
    refresh: () => session.refresh(),
    retry: () => session.retry(),
    getUnfinished: () => session.view.unfinished,
    getStatus: (messageId) => session.getStatus(messageId),
    subscribe: (listener) => session.subscribe(listener),
  };
}
