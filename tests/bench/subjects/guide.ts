/**
 * The route of Thesys' guide: iterate the client, transform with `@crayonai/stream`, store in `onEnd`. Two changes make it faster: the
 * client is created once, and the transform encodes the text, because Node accepts no strings as a body.
 */
import { transformStream } from "@crayonai/stream";
import OpenAI from "openai";
import type { ChatCompletionMessageParam } from "openai/resources/chat/completions";
import { type Handler, model, type Upstream } from "../workload.ts";

type DBMessage = ChatCompletionMessageParam & { id?: string };

export function createGuide({ baseURL, fetch }: Upstream): Handler {
  const client = new OpenAI({ apiKey: "bench", baseURL, fetch });
  const threads: Record<string, DBMessage[]> = {};
  const encoder = new TextEncoder();

  return async (request) => {
    const { prompt, threadId, responseId } = (await request.json()) as { prompt: DBMessage; threadId: string; responseId: string };
    const messages = (threads[threadId] ??= []);
    messages.push(prompt);
    const chunks = await client.chat.completions.create({
      model,
      messages: messages.map((stored) => {
        const message = { ...stored };
        delete message.id;
        return message;
      }),
      stream: true,
    });
    const said: string[] = [];
    const stream = transformStream(
      chunks,
      (chunk) => {
        const content = chunk.choices[0]?.delta.content;
        if (!content) return null;
        said.push(content);
        return encoder.encode(content);
      },
      { onEnd: () => void messages.push({ role: "assistant", content: said.join(""), id: responseId }) },
    );
    return new Response(stream as ReadableStream<Uint8Array>, {
      headers: { "Content-Type": "text/event-stream", "Cache-Control": "no-cache, no-transform", Connection: "keep-alive" },
    });
  };
}
