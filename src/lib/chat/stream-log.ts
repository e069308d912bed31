/** An event log as a streamed response. */
import type { ChatHandlerError } from "../core/errors.ts";
import type { EventLog } from "../core/event-log.ts";
import type { ChatRequest, Protocol } from "../core/protocol.ts";
import { ClientConnection } from "./client-connection.ts";
import { LogWrites } from "./log-writes.ts";

/** How a log is streamed. */
export interface StreamOptions {
  request: Request;
  chatRequest: ChatRequest;
  protocol: Protocol;
  /** Milliseconds between two writes. */
  flushInterval: number;
}

/**
 * Streams a log from its beginning. Resolves with the first write, or with the end of an empty answer. The client leaves the log when it
 * cancels the body or its request aborts.
 *
 * @throws ChatHandlerError the failure of the turn, if it comes before the first write. A later one follows the protocol's `failure`.
 */
export async function streamLog(log: EventLog, { request, chatRequest, protocol, flushInterval }: StreamOptions): Promise<Response> {
  const writes = new LogWrites(log, protocol.createWriter(chatRequest), flushInterval);
  const connection = new ClientConnection(request, writes);
  // In workerd, waiting for the turn also keeps a request alive that follows the turn of another request.
  void log.ended.then(() => connection.stopWatching());
  const source = new BodySource(log, protocol, writes, connection);
  await source.readFirst();
  // Nothing is read ahead: the position of the client is what it has really consumed.
  return new Response(new ReadableStream(source, { highWaterMark: 0 }), { headers: protocol.headers });
}

const encoder = new TextEncoder();

/** The source of a response's body: one write for each pull. A class, because every open stream has one. */
class BodySource implements UnderlyingDefaultSource<Uint8Array> {
  readonly #log: EventLog;
  readonly #protocol: Protocol;
  readonly #writes: LogWrites;
  readonly #connection: ClientConnection;
  readonly #texts: ReadableStreamDefaultReader<string>;
  /** Read before there was a body. Gone once it is in the body. */
  #first: ReadableStreamReadResult<string> | undefined;

  constructor(log: EventLog, protocol: Protocol, writes: LogWrites, connection: ClientConnection) {
    this.#log = log;
    this.#protocol = protocol;
    this.#writes = writes;
    this.#connection = connection;
    this.#texts = protocol.stream(writes).getReader();
  }

  /** Reads the first write. Throws if the turn fails before it. */
  async readFirst(): Promise<void> {
    this.#writes.demand();
    this.#first = await this.#texts.read();
    const failure = this.#connection.error ?? this.#log.end?.error;
    if (this.#first.done && failure) throw failure;
  }

  start(controller: ReadableStreamDefaultController<Uint8Array>): void {
    if (this.#first) this.#pass(this.#first, controller);
    this.#first = undefined;
  }

  pull(controller: ReadableStreamDefaultController<Uint8Array>): Promise<void> {
    this.#writes.demand();
    return this.#texts.read().then((read) => this.#pass(read, controller));
  }

  cancel(): void {
    this.#connection.leave();
  }

  #pass({ done, value }: ReadableStreamReadResult<string>, controller: ReadableStreamDefaultController<Uint8Array>): void {
    if (!done) return controller.enqueue(encoder.encode(value));
    const failure = this.#getFailure();
    if (failure) controller.error(failure);
    else controller.close();
  }

  #getFailure(): ChatHandlerError | undefined {
    if (this.#connection.error) return this.#connection.error;
    return this.#protocol.failure === "breaks the stream" ? this.#log.end?.error : undefined;
  }
}
