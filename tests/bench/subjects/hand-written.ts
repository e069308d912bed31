/** Code that the two subjects without a library share. */
import type { Upstream } from "../workload.ts";

export async function readPrompt(request: Request): Promise<string> {
  const { prompt } = (await request.json()) as { prompt: { content: string } };
  return prompt.content;
}

export function callModel({ baseURL, fetch }: Upstream, model: string, content: string): Promise<Response> {
  return fetch(`${baseURL}/chat/completions`, {
    method: "POST",
    headers: { "Content-Type": "application/json", Authorization: "Bearer bench" },
    body: JSON.stringify({ model, stream: true, messages: [{ role: "user", content }] }),
  });
}
