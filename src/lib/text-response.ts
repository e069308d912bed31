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
const encode = (text: string) => encoder.encode(text);

/**
 * Streams what the reader gives, one text for each pull of the client. Rejects with what fails before the first text; a later failure
 * errors the stream.
 */
export async function textResponse(reader: AnswerReader): Promise<Response> {
  // transformStream looks at no demand and hears of no cancel: the reader holds each text back until it is wanted.
  const bytes = transformStream(reader as AsyncIterable<string>, encode).getReader() as ReadableStreamDefaultReader<Uint8Array>;
  const read = () => {
    reader.want();
    return bytes.read();
  };
  let first: ReadableStreamReadResult<Uint8Array> | undefined = await read();
  const body = new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        const { done, value } = first ?? (await read());
        first = undefined;
        if (done) controller.close();
        else controller.enqueue(value);
      },
      cancel: () => reader.leave(),
    },
    { highWaterMark: 0 },
  );
  return new Response(body, { headers: textHeaders });
}
