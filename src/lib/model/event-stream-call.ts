/** The call of a client that returns the provider's response: decodes its server-sent events, one network read at a time. */
import { createParser, type EventSourceMessage, type EventSourceParser } from "eventsource-parser";
import { callSafely, withTimeout } from "../core/async.ts";
import type { ModelDelta } from "./delta.ts";
import type { ModelCall } from "./model-call.ts";
import { readChunk } from "./read-chunk.ts";

/** The most text without the end of an event, in characters. */
const maxEventSize = 1024 * 1024;
/** How long a finished response may take to end, in milliseconds, so that its connection can be used again. */
const drainTime = 1_000;

type Result = IteratorResult<readonly ModelDelta[], undefined>;

/** A call over the body of a response. Every open stream has one, and a class costs less memory than closures. */
export class EventStreamCall implements ModelCall {
  readonly #reader: ReadableStreamDefaultReader<Uint8Array>;
  readonly #controller: AbortController;
  readonly #decoder = new TextDecoder();
  readonly #parser: EventSourceParser;
  #isDone = false;
  #isClosed = false;
  /** Characters since the end of the last event. */
  #unfinished = 0;
  /** The chunks of the read that is decoded. */
  #deltas: ModelDelta[] = [];

  constructor(body: ReadableStream<Uint8Array>, controller: AbortController) {
    this.#reader = body.getReader();
    this.#controller = controller;
    // Lines that are not server-sent events are skipped, as the specification says.
    this.#parser = createParser({ onEvent: (event) => this.#append(event) });
  }

  next(): Promise<Result> {
    if (this.#isDone) return Promise.resolve({ done: true, value: undefined });
    return this.#reader.read().then((read) => this.#decode(read));
  }

  close(): void {
    this.#isClosed = true;
    if (!this.#isDone) return this.#cancel();
    const drained = withTimeout(drainTime, this.#reader.read(), () => new Error("The response did not end."));
    drained.then(
      ({ done }) => done || this.#cancel(),
      () => this.#cancel(),
    );
  }

  #append({ data, event }: EventSourceMessage): void {
    this.#unfinished = 0;
    if (data.startsWith("[DONE]")) this.#isDone = true;
    if (this.#isDone) return;
    const delta = readChunk(JSON.parse(data), event);
    // Most reads have one chunk: an array literal allocates one slot for it, and a push seventeen.
    if (this.#deltas.length === 0) this.#deltas = [delta];
    else this.#deltas.push(delta);
  }

  #decode({ done, value }: ReadableStreamReadResult<Uint8Array>): Result {
    // A closed call ends with what it gave before: the half of an event may be in the parser.
    if (this.#isClosed) return { done: true, value: undefined };
    // The last event counts even when its blank line is missing.
    const text = done ? "\n\n" : this.#decoder.decode(value, { stream: true });
    this.#unfinished += text.length;
    this.#deltas = [];
    this.#parser.feed(text);
    if (this.#unfinished > maxEventSize) throw new Error(`The provider sent an event larger than ${maxEventSize} characters.`);
    if (done) this.#isDone = true;
    const deltas = this.#deltas;
    return this.#isDone && deltas.length === 0 ? { done: true, value: undefined } : { done: false, value: deltas };
  }

  #cancel(): void {
    // Settles a pending read at once.
    callSafely(() => this.#reader.cancel()).catch(() => {});
    // A client that logs reads a copy of the body, and cancelling one of two copies does not close the connection.
    this.#controller.abort();
  }
}
