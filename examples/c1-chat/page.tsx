import { C1Chat, ThemeProvider } from "@thesysai/genui-sdk";
import { useEffect, useState } from "react";
import { createRoot } from "react-dom/client";

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
  return (
    <>
      {isDemo && <p className="label">Demo model: answers written beforehand, no AI. Set THESYS_API_KEY to talk to C1.</p>}
      <ThemeProvider mode={isDark ? "dark" : "light"}>
        <C1Chat
          apiUrl="/api/chat"
          agentName={isDemo ? "C1 demo" : "C1"}
          logoUrl="/assets/logo.svg"
          welcomeMessage={{ title: "What would you like to see?", description: "Answers come as text, cards, tables, charts and forms." }}
          conversationStarters={{ variant: "short", options: starters.map((prompt) => ({ displayText: prompt, prompt })) }}
        />
      </ThemeProvider>
      <Failure />
    </>
  );
}

/** C1Chat leaves it to the page to say that an answer broke off or was refused: its promise rejects, and nobody handles it. */
function Failure() {
  const [failed, setFailed] = useState(false);
  useEffect(() => {
    const notice = (event: PromiseRejectionEvent) => {
      event.preventDefault();
      const stopped = event.reason instanceof Error && event.reason.name === "AbortError";
      if (!stopped) setFailed(true);
    };
    addEventListener("unhandledrejection", notice);
    return () => removeEventListener("unhandledrejection", notice);
  }, []);
  useEffect(() => {
    const timer = failed ? setTimeout(() => setFailed(false), 10_000) : undefined;
    return () => clearTimeout(timer);
  }, [failed]);
  return (
    failed && (
      <p className="failure" role="alert">
        The answer broke off. What was said until then is kept; ask again to get all of it.
      </p>
    )
  );
}

const root = document.getElementById("root");
if (root) createRoot(root).render(<Page />);
