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

/** What a client pulls, one text at a time. A class, for its like is in every open stream. */
class TextSource implements UnderlyingDefaultSource<Uint8Array> {
  readonly #reader: AnswerReader;
  #output!: ReadableStreamDefaultController<Uint8Array>;
  #opened: PromiseWithResolvers<void> | undefined;

  constructor(reader: AnswerReader) {
    this.#reader = reader;
  }

  start(output: ReadableStreamDefaultController<Uint8Array>): void {
    this.#output = output;
  }

  pull(): void {
    this.#reader.want();
  }

  cancel(): void {
    this.#reader.leave();
  }

  /** Resolves with the first text, or the end of a whole answer; rejects with what fails before. */
  open(): Promise<void> {
    const { promise } = (this.#opened = Promise.withResolvers<void>());
    // The stream that transformStream makes looks at no demand and hears of no cancel: the bytes go to ours, and it stays empty.
    transformStream(this.#reader as AsyncIterable<string>, (text) => this.#write(text), this);
    this.pull();
    return promise;
  }

  #write(text: string): null {
    this.#output.enqueue(encoder.encode(text));
    this.#opened?.resolve();
    this.#opened = undefined;
    return null;
  }

  onEnd(): void {
    const { failure } = this.#reader;
    if (failure) {
      this.#output.error(failure);
      this.#opened?.reject(failure);
    } else {
      this.#output.close();
      this.#opened?.resolve();
    }
  }
}

/**
 * Streams what the reader gives, one text for each pull of the client. Rejects with what fails before the first text; a later failure
 * errors the stream.
 */
export async function textResponse(reader: AnswerReader): Promise<Response> {
  const source = new TextSource(reader);
  const body = new ReadableStream(source, { highWaterMark: 0 });
  await source.open();
  return new Response(body, { headers: textHeaders });
}
