import { C1Chat, ThemeProvider, useThreadListManager, useThreadManager } from "@thesysai/genui-sdk";
import { createC1Threads } from "chat-handler/c1-client";
import { type MouseEvent, useEffect, useState } from "react";
import { createRoot } from "react-dom/client";

const threads = createC1Threads({ url: "/api/threads" });
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
  const [failure, setFailure] = useFailure();
  const threadListManager = useThreadListManager({ ...threads, onSelectThread: showInAddress, onSwitchToNew: showInAddress });
  const threadManager = useThreadManager({
    threadListManager,
    apiUrl: "/api/chat",
    loadThread: threads.loadThread,
    onUpdateMessage({ message }) {
      threads.updateMessage(threadListManager.selectedThreadId, message).catch(() => setFailure("What you filled in could not be saved."));
    },
  });

  useEffect(() => {
    const threadId = new URLSearchParams(location.search).get("thread");
    if (threadId) threadListManager.selectThread(threadId);
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
    </div>
  );
}

/** Keeps the thread id in the URL, so that a reload opens the same thread. */
function showInAddress(threadId?: string) {
  history.replaceState(null, "", threadId ? `?thread=${encodeURIComponent(threadId)}` : "/");
}

/** Shows an error for ten seconds. C1Chat does not show that an answer broke: its promise rejects without a handler. */
function useFailure() {
  const [failure, setFailure] = useState<string>();
  useEffect(() => {
    const notice = (event: PromiseRejectionEvent) => {
      event.preventDefault();
      const stopped = event.reason instanceof Error && event.reason.name === "AbortError";
      if (!stopped) setFailure("The answer broke off. The partial answer is stored. Send the prompt again to get a complete one.");
    };
    addEventListener("unhandledrejection", notice);
    return () => removeEventListener("unhandledrejection", notice);
  }, []);
  useEffect(() => {
    const timer = setTimeout(() => setFailure(undefined), 10_000);
    return () => clearTimeout(timer);
  }, [failure]);
  return [failure, setFailure] as const;
}

const root = document.getElementById("root");
if (root) createRoot(root).render(<Page />);
