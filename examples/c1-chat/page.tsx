import { C1Chat, ThemeProvider, useThreadListManager, useThreadManager } from "@thesysai/genui-sdk";
import { createC1Chat, createC1Threads } from "chat-handler/c1-client";
import { type MouseEvent, useEffect, useState, useSyncExternalStore } from "react";
import { createRoot } from "react-dom/client";

const threads = createC1Threads({ url: "/api/threads" });
const chat = createC1Chat({ url: "/api/chat", threads });
const isDemo = document.body.dataset.model === "demo";
const isDark = matchMedia("(prefers-color-scheme: dark)").matches;

const starters = [
  "Show revenue as a chart",
  "Compare the plans in a table",
  "Give me a contact form",
  "Give me an overview card",
  ...(isDemo ? ["Tell me a long story", "Break off in the middle"] : []),
];

function Page() {
  const [failure, setFailure] = useState<string>();
  const unfinished = useSyncExternalStore(chat.subscribe, chat.getUnfinished);
  const threadListManager = useThreadListManager({
    ...threads,
    onSelectThread(threadId) {
      chat.onSelectThread(threadId);
      showInAddress(threadId);
    },
    onSwitchToNew() {
      chat.onSwitchToNew();
      showInAddress();
    },
  });
  const threadManager = useThreadManager({
    threadListManager,
    loadThread: chat.loadThread,
    processMessage: chat.processMessage,
    onUpdateMessage({ message }) {
      setFailure(undefined);
      chat.updateMessage(message).catch(() => setFailure("What you filled in could not be saved."));
    },
    customizeC1: { responseFooterComponent: AnswerFooter },
  });
  useEffect(() => chat.connect(threadManager));

  useEffect(() => {
    const threadId = new URLSearchParams(location.search).get("thread");
    if (threadId) threadListManager.selectThread(threadId);
    // Another tab may have gone on with this thread.
    const refresh = () => void (document.hidden || chat.refresh());
    document.addEventListener("visibilitychange", refresh);
    // C1Chat's promise rejects without a handler when an answer breaks. The page shows it by `getUnfinished`.
    const ignore = (event: PromiseRejectionEvent) => event.preventDefault();
    addEventListener("unhandledrejection", ignore);
    return () => {
      document.removeEventListener("visibilitychange", refresh);
      removeEventListener("unhandledrejection", ignore);
    };
  }, []);

  /** A double click on a title renames its thread, because C1Chat's list has no button for it. */
  const rename = ({ target }: MouseEvent) => {
    const thread = threadListManager.threads.find(({ threadId }) => threadId === threadListManager.selectedThreadId);
    if (!thread || !(target instanceof Element && target.closest(".crayon-shell-thread-button-title"))) return;
    const title = prompt("Title of this thread", thread.title);
    if (title) threadListManager.updateThread({ ...thread, title });
  };

  return (
    <div className="page" onDoubleClick={rename}>
      {isDemo && <p className="label">Demo model: answers written beforehand, no AI. Set THESYS_API_KEY to talk to C1.</p>}
      <ThemeProvider mode={isDark ? "dark" : "light"}>
        <C1Chat
          threadManager={threadManager}
          threadListManager={threadListManager}
          agentName={isDemo ? "C1 demo" : "C1"}
          logoUrl="/assets/logo.svg"
          welcomeMessage={{ title: "What would you like to see?", description: "Answers come as text, cards, tables, charts and forms." }}
          conversationStarters={{ variant: "short", options: starters.map((prompt) => ({ displayText: prompt, prompt })) }}
        />
      </ThemeProvider>
      {failure && (
        <p className="failure" role="alert">
          {failure}
        </p>
      )}
      {unfinished && unfinished.messageId === undefined && (
        <div className="missing">
          <Unfinished status={unfinished.status} />
        </div>
      )}
    </div>
  );
}

/** Keeps the thread id in the URL, so that a reload opens the same thread. */
function showInAddress(threadId?: string) {
  history.replaceState(null, "", threadId ? `?thread=${encodeURIComponent(threadId)}` : "/");
}

/** Marks a partial answer, below its text. */
function AnswerFooter({ messageId }: { messageId: string }) {
  const status = useSyncExternalStore(chat.subscribe, () => chat.getStatus(messageId));
  const isNewest = useSyncExternalStore(chat.subscribe, () => chat.getUnfinished()?.messageId === messageId);
  return status && <Unfinished status={status} canRetry={isNewest} />;
}

function Unfinished({ status, canRetry = true }: { status: "stopped" | "failed"; canRetry?: boolean }) {
  return (
    <p className="unfinished" role="alert">
      {status === "stopped" ? "This answer was stopped." : "This answer broke off."}
      {canRetry && <button onClick={() => void chat.retry()}>Try again</button>}
    </p>
  );
}

const root = document.getElementById("root");
if (root) createRoot(root).render(<Page />);
