/** An event log as a streamed response. */
import { ChatHandlerError, createClientGoneError } from "../core/errors.ts";
import type { EventLog } from "../core/event-log.ts";
import type { AnswerKey, Protocol } from "../core/protocol.ts";
import { formatCursor } from "./cursor.ts";
import { ClientConnection } from "./client-connection.ts";
import { LogWrites } from "./log-writes.ts";
import type { UnreadAnswer, UnreadAnswers } from "./unread-answers.ts";

/** How a log is streamed. */
export interface StreamOptions {
  request: Request;
  owner: string;
  answer: AnswerKey;
  protocol: Protocol;
  /** Bytes of the body that the client has already. */
  offset: number;
  /** Milliseconds between two writes. */
  flushInterval: number;
  /** Milliseconds for which the client may stop reading after the log has ended. */
  readTimeout: number;
  /** Bounds what clients leave unread after the end. */
  unreadAnswers: UnreadAnswers;
  /** Called once, when the client has read everything or has left, and the turn has ended. */
  onFinished(): void;
}

/**
 * Streams a log from an offset of its body. Resolves with the first write, or with the end of an empty answer. The client leaves the log when it
 * cancels the body, its request aborts, or it stops reading after the end.
 *
 * @throws ChatHandlerError the failure of the turn, if it comes before the first write. A later one follows the protocol's `failure`. The request may
 * go on with another log, so `onFinished` is not called then.
 */
export async function streamLog(log: EventLog, options: StreamOptions): Promise<Response> {
  const { request, answer, protocol, offset, flushInterval, onFinished } = options;
  const writes = new LogWrites(log, protocol.createWriter(answer), flushInterval);
  const connection = new ClientConnection(request, writes, log.ended, onFinished);
  const source = new BodySource(options, writes, connection);
  // In workerd, waiting for the turn also keeps a request alive that follows the turn of another request.
  void log.ended.then(() => source.endLog());
  await source.readFirst(offset);
  // Nothing is read ahead: the position of the client is what it has really consumed.
  const headers = {
    ...protocol.headers,
    "X-Chat-Handler-Offset": formatCursor({ attempt: log.attempt, offset }),
    "X-Chat-Handler-Response-Id": encodeURIComponent(answer.responseId),
  };
  return new Response(new ReadableStream(source, { highWaterMark: 0 }), { headers });
}

const encoder = new TextEncoder();

/** The source of a response's body: one write for each pull. A class, because every open stream has one. */
class BodySource implements UnderlyingDefaultSource<Uint8Array>, UnreadAnswer {
  readonly owner: string;
  readonly #protocol: Protocol;
  readonly #writes: LogWrites;
  readonly #connection: ClientConnection;
  readonly #texts: ReadableStreamDefaultReader<string>;
  /** Read before there was a body. Gone once the client has asked for it. */
  #first: ReadableStreamReadResult<string | Uint8Array> | undefined;
  readonly #readTimeout: number;
  readonly #unreadAnswers: UnreadAnswers;
  #controller: ReadableStreamDefaultController<Uint8Array> | undefined;
  #readTimer: ReturnType<typeof setTimeout> | undefined;
  /** When the client last asked for a write, by `performance.now()`. */
  #askedAt = 0;

  constructor({ owner, protocol, readTimeout, unreadAnswers }: StreamOptions, writes: LogWrites, connection: ClientConnection) {
    this.owner = owner;
    this.#readTimeout = readTimeout;
    this.#unreadAnswers = unreadAnswers;
    this.#protocol = protocol;
    this.#writes = writes;
    this.#connection = connection;
    this.#texts = protocol.stream(writes).getReader();
  }

  /** Reads the first write behind the offset. Throws if the turn fails before it. */
  async readFirst(offset: number): Promise<void> {
    this.#first = await this.#readBehind(offset);
    const failure = this.#connection.error ?? this.#writes.end?.error;
    if (!failure) return;
    // Some protocols write an error as an event. These are not for the client: its request goes on with another turn.
    const isRetried = (failure.code === "lease_lost" || failure.code === "client_gone") && this.#writes.isEmpty;
    if (!this.#first.done && !isRetried) return;
    this.#connection.leaveLog();
    throw failure;
  }

  async #readBehind(offset: number): Promise<ReadableStreamReadResult<string | Uint8Array>> {
    for (let skip = offset; ;) {
      this.#writes.demand();
      const read = await this.#texts.read();
      if (read.done && skip > 0 && !this.#writes.end?.error) {
        this.#connection.leaveLog();
        throw new ChatHandlerError("cursor_gone", "The answer is shorter than the cursor says. Start from its beginning.");
      }
      if (read.done || skip === 0) return read;
      const bytes = encoder.encode(read.value);
      if (bytes.length > skip) return { done: false, value: bytes.subarray(skip) };
      skip -= bytes.length;
    }
  }

  start(controller: ReadableStreamDefaultController<Uint8Array>): void {
    this.#controller = controller;
    if (this.#writes.end) this.#startReadTimer();
  }

  /** The log has ended: from here on, the client must read. */
  endLog(): void {
    this.#connection.stopWatching();
    if (this.#readTimer === undefined) this.#startReadTimer();
  }

  #startReadTimer(): void {
    if (!this.#controller || this.#connection.isFinished) return;
    this.#askedAt = performance.now();
    this.#unreadAnswers.keep(this);
    this.#readTimer = setTimeout(() => this.#checkReading(), this.#readTimeout);
  }

  /** Breaks the stream of a client that does not read on. Otherwise the log of a long answer would stay in memory for it. */
  #checkReading(): void {
    const left = this.#askedAt + this.#readTimeout - performance.now();
    if (left > 0) {
      this.#readTimer = setTimeout(() => this.#checkReading(), left);
      return;
    }
    this.#unreadAnswers.remove(this);
    this.#leave();
    this.#controller?.error(this.#connection.error);
  }

  /** The client asks for a write. */
  pull(controller: ReadableStreamDefaultController<Uint8Array>): Promise<void> | void {
    this.#askedAt = performance.now();
    if (this.#readTimer !== undefined) this.#unreadAnswers.keep(this);
    const first = this.#first;
    if (first) {
      this.#first = undefined;
      return this.#pass(first, controller);
    }
    this.#writes.demand();
    return this.#texts.read().then((read) => this.#pass(read, controller));
  }

  cancel(): void {
    this.#stopTiming();
    this.#leave();
  }

  get unread(): number {
    return this.#writes.unread;
  }

  /** Another request may call it, so the rest is left to this one: workerd does not let one request touch the stream of another. */
  drop(): void {
    this.#first = undefined;
    this.#connection.error ??= createClientGoneError();
    this.#writes.close();
  }

  /** Drops the text, too: Node keeps the source of an errored stream alive. */
  #leave(): void {
    this.#first = undefined;
    this.#connection.leave();
  }

  #pass({ done, value }: ReadableStreamReadResult<string | Uint8Array>, controller: ReadableStreamDefaultController<Uint8Array>): void {
    if (!done) return controller.enqueue(typeof value === "string" ? encoder.encode(value) : value);
    const failure = this.#getFailure();
    this.#finish();
    if (failure) controller.error(failure);
    else controller.close();
  }

  #finish(): void {
    this.#stopTiming();
    this.#connection.finish();
  }

  #stopTiming(): void {
    clearTimeout(this.#readTimer);
    this.#unreadAnswers.remove(this);
  }

  #getFailure(): ChatHandlerError | undefined {
    if (this.#connection.error) return this.#connection.error;
    return this.#protocol.failure === "breaks the stream" ? this.#writes.end?.error : undefined;
  }
}
