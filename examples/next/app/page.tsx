"use client";

import { useState } from "react";
import { ask } from "./ask";

export default function Page() {
  const [threadId] = useState(() => crypto.randomUUID());
  const [prompt, setPrompt] = useState("Tell me a long story");
  const [answer, setAnswer] = useState("");
  const [isAsking, setIsAsking] = useState(false);

  async function send() {
    setIsAsking(true);
    setAnswer("");
    try {
      await ask(threadId, prompt, (text) => setAnswer((answer) => answer + text));
    } catch (error) {
      setAnswer((answer) => `${answer}\n\nThe answer broke off: ${String(error)}`);
    }
    setIsAsking(false);
  }

  return (
    <>
      <form
        onSubmit={(event) => {
          event.preventDefault();
          void send();
        }}
      >
        <textarea aria-label="Prompt" rows={3} cols={60} required value={prompt} onChange={({ target }) => setPrompt(target.value)} />
        <button disabled={isAsking}>Send</button>
      </form>
      <pre aria-live="polite" style={{ whiteSpace: "pre-wrap" }}>
        {answer}
      </pre>
    </>
  );
}
