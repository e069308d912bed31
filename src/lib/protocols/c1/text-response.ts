/**
 * An answer as a streamed text response: the wire format of C1Chat and of the guide it comes from. The only file
 * that knows `@crayonai/stream`.
 */
import { transformStream } from "@crayonai/stream/dist/utils.js";
import type { Answer, Reader } from "../../turn/answer.ts";
import { clientGone } from "../../core/errors.ts";

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
 * One response's way through an answer, from its beginning: each piece comes when the client pulls. It leaves when the request is
 * aborted. A class, for its like is in every open stream.
 */
export class TextReader implements Reader, AsyncIterator<string, string>, UnderlyingDefaultSource<Uint8Array> {
  /** The text that the client was given last counts as unread until it wants more; nothing else is given before that. */
  place = 0;
  /** How much it was given. */
  #end = 0;
  readonly #answer: Answer;
  /** Held whole, for in Node the garbage collector would take the signal of a request along. */
  readonly #request: Request;
  /** Why it left before the end, if it did. */
  #left: Error | undefined;
  #give: ((next: IteratorResult<string, string>) => void) | undefined;
  #output!: ReadableStreamDefaultController<Uint8Array>;
  #opened: PromiseWithResolvers<void> | undefined;

  constructor(answer: Answer, request: Request) {
    this.#answer = answer;
    this.#request = request;
    answer.join(this);
    request.signal?.addEventListener("abort", this);
    if (request.signal?.aborted) this.cancel();
  }

  /** Resolves with the first text, or the end of a whole answer; rejects with what fails before. A later failure errors the stream. */
  async respond(): Promise<Response> {
    const body = new ReadableStream(this, { highWaterMark: 0 });
    const { promise } = (this.#opened = Promise.withResolvers<void>());
    // The stream that transformStream makes looks at no demand and hears of no cancel: the bytes go to ours, and it stays empty.
    transformStream(this as AsyncIterable<string>, (text) => this.#write(text), this);
    await promise;
    return new Response(body, { headers: textHeaders });
  }

  /** Leaves nothing of itself on the request. For the request's own code to call: workerd lets no other touch its signal. */
  unfollow(): void {
    this.#request.signal?.removeEventListener("abort", this);
  }

  /** The request was aborted. */
  handleEvent(): void {
    this.cancel();
  }

  start(output: ReadableStreamDefaultController<Uint8Array>): void {
    this.#output = output;
  }

  /** The client has taken what it was given, and wants more. May come before the `next()` that it lets go on. */
  pull(): void {
    this.place = this.#end;
    this.#answer.wake?.();
    this.look();
  }

  /** Stops reading: who waits for text gets the reason. */
  cancel(): void {
    this.#left ??= clientGone();
    this.unfollow();
    this.look();
    this.#answer.leave(this);
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  /**
   * The next text once it is there and wanted, or the end. A promise, for the turn may run for another request, and workerd lets each
   * request touch nothing but its own streams.
   */
  next(): Promise<IteratorResult<string, string>> {
    return new Promise((give) => {
      this.#give = give;
      this.look();
    });
  }

  /** Looks whether what is wanted is there, and somebody to give it to. */
  look(): void {
    const give = this.#give;
    if (!give || this.place < this.#end) return;
    const value = this.#left ? "" : this.#answer.pieceAt(this.#end);
    if (!value && !this.#left && !this.#answer.ending) return;
    this.#give = undefined;
    this.#end += value.length;
    give({ done: !value, value });
  }

  #write(text: string): null {
    this.#output.enqueue(encoder.encode(text));
    this.#opened?.resolve();
    this.#opened = undefined;
    return null;
  }

  onEnd(): void {
    const failure = this.#left ?? this.#answer.ending?.failure;
    if (failure) {
      this.#output.error(failure);
      this.#opened?.reject(failure);
    } else {
      this.#output.close();
      this.#opened?.resolve();
    }
  }
}
