/** The contract of a wire format: how one kind of client asks, and how it is answered. */
import type { ChatHandlerError } from "./errors.ts";
import type { TurnEvent } from "./events.ts";
import type { Limits } from "./limits.ts";
import type { Prompt } from "./prompt.ts";

/** The answer that a response streams. */
export interface AnswerKey {
  threadId: string;
  responseId: string;
}

/** What a request asks for, in every wire format. */
export interface ChatRequest extends AnswerKey {
  prompt: Prompt;
}

/** A wire format. It never sees the store. */
export interface Protocol {
  /**
   * Reads a body. Returns `undefined` for a body of another protocol.
   *
   * @throws ChatHandlerError `invalid_request` that names the field, for a body of this protocol with a wrong value.
   */
  parse(body: Record<string, unknown>, limits: Limits): ChatRequest | undefined;
  /** The headers of every answer. */
  headers: Readonly<Record<string, string>>;
  /** Milliseconds between two writes, unless the app sets `flushInterval`. */
  flushInterval: number;
  /** Creates the translator of one response. It returns the text to send for an event; `""` for an event without one. */
  createWriter(answer: AnswerKey): (event: TurnEvent) => string;
  /** Turns the writes into a stream, the source of the response's body. The writes pace themselves and never throw. */
  stream(writes: AsyncIterable<string>): ReadableStream<string>;
  /** How a client learns of a failure after the first byte: the stream breaks, or an event says so and the stream ends. */
  failure: "breaks the stream" | "event, then clean end";
  /** A failure before the first byte as an answer with status 200, for clients that show nothing on an error status. */
  errorResponse(error: ChatHandlerError): Response;
}
