/** Sends a prompt and calls `onText` for each piece of the answer. Rejects if the answer is not complete. */
export async function ask(threadId: string, content: string, onText: (text: string) => void): Promise<void> {
  const response = await fetch("/api/chat", {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({
      prompt: { id: crypto.randomUUID(), role: "user", content },
      threadId,
      responseId: crypto.randomUUID(),
    }),
  });
  if (!response.ok) throw new Error((await response.json()).error.message);
  const reader = response.body!.pipeThrough(new TextDecoderStream()).getReader();
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    onText(value);
  }
}
