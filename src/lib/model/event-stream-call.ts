/**
 * The call of a client that returns the provider's response: decodes its server-sent events, one network read at a time.
 *
 * Events that say nothing:
 *
 * | event | seen at |
 * | --- | --- |
 * | a comment, `: OPENROUTER PROCESSING` | OpenRouter |
 * | the comment as data, `data: : OPENROUTER PROCESSING` | gateways in front of OpenRouter |
 * | `data:` without anything | gateways |
 * | `event: ping` with any data | Anthropic's protocol, gateways |
 */
import { createParser, type EventSourceMessage, type EventSourceParser, type ParseError } from "eventsource-parser";
import { callSafely, withTimeout } from "../core/async.ts";
import type { ModelDelta } from "./delta.ts";
import type { ModelCall } from "./model-call.ts";
import { ConnectionLostError } from "./provider-error.ts";
import { readChunk } from "./read-chunk.ts";

/** How long a finished response may take to end, in milliseconds, so that its connection can be used again. */
const drainTime = 1_000;
/** JSON may write one character as six: `\u0041`. */
const escapedLength = 6;
/** Room for what an event has beside the answer, in characters: log probabilities, usage, the provider's own fields. */
const otherFields = 2 * 1024 * 1024;
/** Names of events that only keep the connection alive. */
const keepAliveNames: readonly (string | undefined)[] = ["ping", "heartbeat", "keepalive", "keep-alive"];

type Result = IteratorResult<readonly ModelDelta[], undefined>;

/** A call over the body of a response. Every open stream has one, and a class costs less memory than closures. */
export class EventStreamCall implements ModelCall {
  readonly #reader: ReadableStreamDefaultReader<Uint8Array>;
  readonly #controller: AbortController;
  readonly #decoder = new TextDecoder();
  readonly #parser: EventSourceParser;
  #isDone = false;
  #isClosed = false;
  /** The chunks of the read that is decoded. */
  #deltas: ModelDelta[] = [];

  /** An event may be as large as `answerCharacters` needs. */
  constructor(body: ReadableStream<Uint8Array>, controller: AbortController, answerCharacters: number) {
    this.#reader = body.getReader();
    this.#controller = controller;
    const maxBufferSize = answerCharacters * escapedLength + otherFields;
    this.#parser = createParser({ maxBufferSize, onEvent: (event) => this.#append(event), onError: throwIfTooLarge });
  }

  next(): Promise<Result> {
    if (this.#isDone) return Promise.resolve({ done: true, value: undefined });
    return this.#reader.read().then((read) => this.#decode(read), throwConnectionLost);
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
    if (data.startsWith("[DONE]")) this.#isDone = true;
    if (this.#isDone || isKeepAlive(data, event)) return;
    const delta = readChunk(JSON.parse(data), event);
    // Most reads have one chunk: an array literal allocates one slot for it, and a push seventeen.
    if (this.#deltas.length === 0) this.#deltas = [delta];
    else this.#deltas.push(delta);
  }

  #decode({ done, value }: ReadableStreamReadResult<Uint8Array>): Result {
    // A closed call ends with what it gave before: the half of an event may be in the parser.
    if (this.#isClosed) return { done: true, value: undefined };
    // The last event counts even when its blank line is missing.
    this.#parser.feed(done ? "\n\n" : this.#decoder.decode(value, { stream: true }));
    if (done) this.#isDone = true;
    const deltas = this.#deltas;
    this.#deltas = [];
    return this.#isDone && deltas.length === 0 ? { done: true, value: undefined } : { done: false, value: deltas };
  }

  #cancel(): void {
    // Settles a pending read at once.
    callSafely(() => this.#reader.cancel()).catch(() => {});
    // A client that logs reads a copy of the body, and cancelling one of two copies does not close the connection.
    this.#controller.abort();
  }
}

/** Other errors are lines that are not server-sent events. They are skipped, as the specification says. */
function throwIfTooLarge({ type }: ParseError): void {
  if (type === "max-buffer-size-exceeded") throw new Error("The provider sent an event that is too large.");
}

function throwConnectionLost(cause: unknown): never {
  throw new ConnectionLostError(cause);
}

function isKeepAlive(data: string, eventName: string | undefined): boolean {
  return data.startsWith(":") || data.trim() === "" || keepAliveNames.includes(eventName);
}
