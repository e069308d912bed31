/**
 * An answer as a streamed text response: the wire format of C1Chat and of the guide it comes from. The only file
 * that knows `@crayonai/stream`.
 */
import { transformStream } from "@crayonai/stream/dist/utils.js";
import type { AnswerReader } from "./answer.ts";

/** The headers of every streamed answer. */
export const textHeaders: Record<string, string> = {
  // The guide's content type; the body is plain text all the same, which is what C1Chat reads.
  "Content-Type": "text/event-stream; charset=utf-8",
  // no-transform keeps compressing proxies from holding text back; X-Accel-Buffering tells nginx the same.
  "Cache-Control": "no-cache, no-transform",
  "X-Accel-Buffering": "no",
  "X-Content-Type-Options": "nosniff",
};

const encoder = new TextEncoder();

/**
 * Streams what the reader gives, one text for each pull of the client. Rejects with what fails before the first text; a later failure
 * errors the stream.
 */
export async function textResponse(reader: AnswerReader, onCancel: () => void): Promise<Response> {
  let text = await reader.read();
  const body = new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        text ||= await reader.read();
        if (text) controller.enqueue(await encode(text));
        else controller.close();
        text = "";
      },
      cancel: onCancel,
    },
    { highWaterMark: 0 },
  );
  return new Response(body, { headers: textHeaders });
}

/** transformStream looks at no demand and hears of no cancel: it gets one text, once that is wanted. */
async function encode(text: string): Promise<Uint8Array> {
  const texts = [text] as unknown as AsyncIterable<string>; // `for await` takes either
  const { value } = await transformStream(texts, (text) => encoder.encode(text))
    .getReader()
    .read();
  return value as Uint8Array;
}
