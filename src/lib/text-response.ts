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
  // transformStream runs its loop without looking at demand or being told of a cancel: the reader waits for the one, the outer
  // stream hears of the other.
  const bytes = transformStream({ [Symbol.asyncIterator]: () => reader }, (text: string) => encoder.encode(text)).getReader();
  const read = () => {
    reader.want();
    return bytes.read();
  };
  const first = await read();

  let controller: ReadableStreamDefaultController<Uint8Array>;
  const hand = ({ done, value }: ReadableStreamReadResult<Uint8Array>) => (done ? controller.close() : controller.enqueue(value));
  const body = new ReadableStream<Uint8Array>(
    {
      start(given) {
        controller = given;
      },
      pull: () => read().then(hand),
      cancel: onCancel,
    },
    { highWaterMark: 0 },
  );
  hand(first);
  return new Response(body, { headers: textHeaders });
}
