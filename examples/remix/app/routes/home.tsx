import { type FormEvent, useState } from "react";
import { ask } from "../ask";

export default function Home() {
  const [threadId] = useState(() => crypto.randomUUID());
  const [answer, setAnswer] = useState("");
  const [isAsking, setIsAsking] = useState(false);

  async function submit(event: FormEvent<HTMLFormElement>) {
    event.preventDefault();
    const content = String(new FormData(event.currentTarget).get("prompt"));
    setIsAsking(true);
    setAnswer("");
    try {
      await ask(threadId, content, (text) => setAnswer((answer) => answer + text));
    } catch (error) {
      setAnswer((answer) => `${answer}\n\nThe answer broke off: ${String(error)}`);
    }
    setIsAsking(false);
  }

  return (
    <>
      <form onSubmit={submit}>
        <textarea name="prompt" aria-label="Prompt" rows={3} cols={60} required defaultValue="Tell me a long story" />
        <button disabled={isAsking}>Send</button>
      </form>
      <pre aria-live="polite" style={{ whiteSpace: "pre-wrap" }}>
        {answer}
      </pre>
    </>
  );
}
