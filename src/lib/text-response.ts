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

/** Streams what the reader takes, one text for each pull of the client; a failure of the turn errors the stream. */
export function textResponse(reader: AnswerReader, onCancel: () => void): Response {
  let feed: (result: IteratorResult<string, string>) => void;

  // transformStream runs its loop without looking at demand and must not see an error, so it is fed one text for each pull and
  // the outer stream says how it ends.
  const next = () => new Promise<IteratorResult<string, string>>((resolve) => (feed = resolve));
  const bytes = transformStream({ [Symbol.asyncIterator]: () => ({ next }) }, (text: string) => encoder.encode(text)).getReader();

  // Made once for all pulls: what each pull makes anew lives until the model speaks again, and is moved about by then.
  let controller: ReadableStreamDefaultController<Uint8Array>;
  const convert = () => {
    const value = reader.take();
    feed({ done: !value, value });
    return bytes.read();
  };
  const hand = ({ done, value }: ReadableStreamReadResult<Uint8Array>) => (done ? controller.close() : controller.enqueue(value));

  const body = new ReadableStream<Uint8Array>(
    {
      start(given) {
        controller = given;
      },
      pull: () => reader.ready().then(convert).then(hand),
      cancel: onCancel,
    },
    { highWaterMark: 0 },
  );
  return new Response(body, { headers: textHeaders });
}
