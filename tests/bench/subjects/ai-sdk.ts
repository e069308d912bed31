/** The AI SDK: `streamText` answered as a text stream, stored in `onEnd`. */
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { createTextStreamResponse, type ModelMessage, streamText, toTextStream } from "ai";
import { type Handler, model, type Upstream } from "../workload.ts";

export function createAiSdk({ baseURL, fetch }: Upstream): Handler {
  const provider = createOpenAICompatible({ name: "bench", apiKey: "bench", baseURL, fetch });
  const threads: Record<string, ModelMessage[]> = {};

  return async (request) => {
    const { prompt, threadId } = (await request.json()) as { prompt: { content: string }; threadId: string };
    const messages = (threads[threadId] ??= []);
    messages.push({ role: "user", content: prompt.content });
    const { stream } = streamText({
      model: provider.chatModel(model),
      messages: [...messages],
      onEnd: ({ text }) => void messages.push({ role: "assistant", content: text }),
    });
    return createTextStreamResponse({ stream: toTextStream({ stream }) });
  };
}
