/** The minimum of a hand-written chat endpoint: decode the SSE, parse each chunk, encode the text. It validates and stores nothing. */
import { type Handler, model, type Upstream } from "../workload.ts";
import { callModel, readPrompt } from "./hand-written.ts";

interface Chunk {
  choices: [{ delta: { content?: string } }];
}

export function createFloor(upstream: Upstream): Handler {
  return async (request) => {
    const { body } = await callModel(upstream, model, await readPrompt(request));
    if (!body) throw new Error("The model's answer has no body.");
    const reader = body.getReader();
    const decoder = new TextDecoder();
    const encoder = new TextEncoder();
    let rest = "";
    const text = new ReadableStream<Uint8Array>(
      {
        async pull(controller) {
          for (;;) {
            const { done, value } = await reader.read();
            if (done) return controller.close();
            rest += decoder.decode(value, { stream: true });
            let text = "";
            let start = 0;
            for (let end = rest.indexOf("\n\n"); end !== -1; end = rest.indexOf("\n\n", start)) {
              const data = rest.slice(start + "data: ".length, end);
              start = end + 2;
              if (data !== "[DONE]") text += (JSON.parse(data) as Chunk).choices[0].delta.content ?? "";
            }
            rest = rest.slice(start);
            if (text !== "") return controller.enqueue(encoder.encode(text));
          }
        },
        cancel: (reason) => reader.cancel(reason),
      },
      { highWaterMark: 0 },
    );
    return new Response(text, { headers: { "Content-Type": "text/event-stream" } });
  };
}
