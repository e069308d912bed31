/** An event log as a streamed response. */
import { type ChatHandlerError, createClientGoneError } from "../core/errors.ts";
import type { EventLog } from "../core/event-log.ts";
import type { ChatRequest, Protocol } from "../core/protocol.ts";
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
  const bytes = protocol.encode(writes).getReader();
  const connection = watchDisconnect(request, writes);
  // In workerd, waiting for the turn also keeps a request alive that follows the turn of another request.
  log.ended.then(connection.stop).catch(() => {});
  writes.demand();
  const first = await bytes.read();
  const earlyFailure = connection.error ?? log.end?.error;
  if (first.done && earlyFailure) throw earlyFailure;
  const body = new ReadableStream<Uint8Array>(
    {
      start: (controller) => (first.done ? controller.close() : controller.enqueue(first.value)),
      async pull(controller) {
        writes.demand();
        const { done, value } = await bytes.read();
        if (!done) return controller.enqueue(value);
        const failure = connection.error ?? (protocol.failure === "breaks the stream" ? log.end?.error : undefined);
        if (failure) controller.error(failure);
        else controller.close();
      },
      cancel: () => connection.leave(),
    },
    // Nothing is read ahead: the position of the client is what it has really consumed.
    { highWaterMark: 0 },
  );
  return new Response(body, { headers: protocol.headers });
}

interface Connection {
  /** Why the client left, if it did. */
  error: ChatHandlerError | undefined;
  leave(): void;
  /** Stops watching. Only the request's own code may call it: workerd does not let another request use its signal. */
  stop(): void;
}

function watchDisconnect(request: Request, writes: LogWrites): Connection {
  const connection: Connection = {
    error: undefined,
    leave() {
      connection.error ??= createClientGoneError();
      connection.stop();
      writes.close();
    },
    stop() {
      // The request is held whole: Node's garbage collector would take its signal along.
      request.signal?.removeEventListener("abort", connection.leave);
    },
  };
  request.signal?.addEventListener("abort", connection.leave);
  if (request.signal?.aborted) connection.leave();
  return connection;
}
