/**
 * One call of the model: read by read from the network, with the chunks that each read gives. The only file that
 * knows SSE.
 */
import { createParser, type EventSourceParser } from "eventsource-parser";
import type { ChatCompletionChunk, ChatCompletionCreateParamsStreaming } from "openai/resources/chat/completions";
import { unlessAborted, within } from "../core/async.ts";
import { asChatHandlerError, ChatHandlerError } from "../core/errors.ts";
import { attempt } from "../core/guard-store.ts";

/** The part of an OpenAI client that the handler calls. Any `OpenAI` instance is one, and so is a wrapper around it. */
export interface ModelClient {
  /** As in the `openai` package. */
  chat: {
    /** As in the `openai` package. */
    completions: {
      /**
       * Starts a streamed completion. Where the returned promise has `asResponse()`, as that of the `openai` package has,
       * the raw response is decoded here, at a third of the cost.
       */
      create(body: ChatCompletionCreateParamsStreaming, options: { signal: AbortSignal }): PromiseLike<AsyncIterable<ChatCompletionChunk>>;
    };
  };
}

/** The most text that may come without the end of an event, in characters: comments, or one that grows without end. */
const maxEventSize = 1024 * 1024;
/** How long a finished response may take to close by itself, in milliseconds, so that its connection can serve again. */
const drainTime = 1_000;

const noop = () => {};

/** What one network read gave; only the call that gave it knows what is in it. */
type Read = IteratorResult<unknown, unknown>;

/** A call that is under way. Whoever made it closes it. */
export interface ModelCall {
  /** Waits for the next read, of a call that is not closed. Settles at once when it is. */
  read(): Promise<Read>;
  /** Gives the chunks of a read, perhaps none, to the sink, and says whether that was the end. Throws what is wrong with a chunk. */
  take(read: Read): boolean | undefined;
  /** Lets go of the connection: to the next call where this one has ended, for good where it has not. May be said again. */
  close(): void;
}

/** Takes what the model says. */
export interface ChunkSink {
  /** One chunk after the other. What it throws is a fault of the call. */
  take(chunk: ChatCompletionChunk): void;
}

/** Calls the model. An abort ends the wait for it at once, even if the client ignores it. */
export async function callModel(
  client: ModelClient,
  body: ChatCompletionCreateParamsStreaming,
  controller: AbortController,
  sink: ChunkSink,
): Promise<ModelCall> {
  const { signal } = controller;
  const pending = client.chat.completions.create(body, { signal }) as ReturnType<ModelClient["chat"]["completions"]["create"]> & {
    asResponse?: () => Promise<Response>;
  };
  const given = Promise.resolve<Response | AsyncIterable<ChatCompletionChunk>>(pending.asResponse ? pending.asResponse() : pending);
  // What a client that ignores the signal gives too late is let go at once; and where it fails, so does the promise that a tracing
  // wrapper has made beside it, for nobody else to hear of.
  void given
    .then(
      (late) => signal.aborted && open(late, controller, sink).close(),
      () => pending,
    )
    .catch(noop);
  return open(await unlessAborted(signal, given), controller, sink);
}

function open(given: Response | AsyncIterable<ChatCompletionChunk>, controller: AbortController, sink: ChunkSink): ModelCall {
  if (Symbol.asyncIterator in given) return oneByOne(given[Symbol.asyncIterator](), controller, sink);
  if (!given.body) throw new Error("No stream.");
  return new EventStream(given.body, controller, sink);
}

/** Reads an SSE body. A class, for its like waits in every open stream. */
class EventStream implements ModelCall {
  readonly #reader: ReadableStreamDefaultReader<Uint8Array>;
  readonly #controller: AbortController;
  readonly #decoder = new TextDecoder();
  readonly #parser: EventSourceParser;
  #isDone: boolean | undefined;
  /** Characters read since the read that ended an event. */
  #sinceEvent = 0;

  constructor(body: ReadableStream<Uint8Array>, controller: AbortController, sink: ChunkSink) {
    this.#reader = body.getReader();
    this.#controller = controller;
    // Lines that are not SSE are skipped, as the specification has it.
    this.#parser = createParser({
      onEvent: ({ data, event }) => {
        this.#sinceEvent = 0;
        this.#isDone ||= data.startsWith("[DONE]");
        if (!this.#isDone) sink.take(asChunk(JSON.parse(data), event));
      },
    });
  }

  read(): Promise<Read> {
    return this.#reader.read();
  }

  take(read: Read): boolean | undefined {
    const { done, value } = read;
    // Whoever waits for the next read with this one at hand does not keep its bytes.
    read.value = undefined;
    // At the end the last event counts even where its blank line is missing.
    const text = done ? "\n\n" : this.#decoder.decode(value as Uint8Array, { stream: true });
    this.#sinceEvent += text.length;
    this.#parser.feed(text);
    if (this.#sinceEvent > maxEventSize) throw new Error("An event has no end.");
    return (this.#isDone ||= done);
  }

  close(): void {
    const cancel = () => {
      // This also settles a pending read at once.
      void attempt(() => this.#reader.cancel()).catch(noop);
      // A client that logs may read a copy of the body, whose half is not enough to cancel.
      this.#controller.abort();
    };
    if (!this.#isDone) return cancel();
    // Read to its end, a response lends its connection to the next call.
    void within(drainTime, this.#reader.read(), Error).then(({ done }) => done || cancel(), cancel);
  }
}

/** Reads the chunks of a client that gives an iterable instead of a response, for example a tracing wrapper. */
function oneByOne(chunks: AsyncIterator<ChatCompletionChunk>, controller: AbortController, sink: ChunkSink): ModelCall {
  const end: Read = { done: true, value: undefined };
  let give: (read: Read) => void = noop;
  let isDone: boolean | undefined;
  return {
    read: () =>
      new Promise((resolve, reject) => {
        give = resolve;
        Promise.resolve(chunks.next()).then(resolve, reject);
      }),
    take({ done, value }) {
      if (!done) sink.take(asChunk(value));
      return (isDone = done);
    },
    close() {
      queueMicrotask(() => {
        // A chunk that is there by now comes first.
        give(end);
        if (!isDone) controller.abort();
      });
      // Nobody waits for it: a generator that hangs in `next()` never gets to it.
      void attempt(() => chunks.return?.()).catch(noop);
    },
  };
}

function asChunk(value: unknown, event?: string): ChatCompletionChunk {
  if (event === "error" || typeof value !== "object" || !value || ("error" in value && value.error)) {
    throw new Error(`The provider sent ${JSON.stringify(value)?.slice(0, 1000)}.`);
  }
  return value as ChatCompletionChunk;
}

/** What went wrong with a call, as an error of ours: the provider's own words stay in `cause`. */
export function fromProvider(cause: unknown): ChatHandlerError {
  const { status, headers } = Object(cause) as { status?: unknown; headers?: Partial<Headers> };
  if (status !== 429) return asChatHandlerError(cause, "model_failed", "The model could not answer.");
  const retryAfter = headers?.get?.("Retry-After") ?? undefined;
  return new ChatHandlerError("rate_limited", "The model gets too many requests. Try again later.", { cause, retryAfter });
}
