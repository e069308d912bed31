/**
 * One call of the model as a sequence of chunk batches, one batch for each read from the network. The only file
 * that knows SSE.
 */
import { createParser } from "eventsource-parser";
import type { ChatCompletionChunk, ChatCompletionCreateParamsStreaming } from "openai/resources/chat/completions";
import { unlessAborted } from "./deadline.ts";
import { ChatHandlerError } from "./errors.ts";

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
      create(
        body: ChatCompletionCreateParamsStreaming,
        options: { signal: AbortSignal },
      ): PromiseLike<AsyncIterable<ChatCompletionChunk>>;
    };
  };
}

/** A running model call. */
export interface ModelCall {
  /** The chunks of the next network read; `undefined` when the model has ended its answer. */
  read(): Promise<ChatCompletionChunk[] | undefined>;
  /** Lets go of the connection. */
  close(): void;
}

/** The most text an event may grow to before it ends, in characters. */
const maxEventSize = 1024 * 1024;
/** How long a finished response may take to close by itself, in milliseconds, so that its connection can serve again. */
const drainTime = 1_000;

const noop = () => {};

/**
 * Calls the model. Rejects when the provider refuses; aborting the signal rejects whatever is pending with the
 * signal's reason, at once, even if the client ignores it.
 */
export async function callModel(
  client: ModelClient,
  body: ChatCompletionCreateParamsStreaming,
  signal: AbortSignal,
): Promise<ModelCall> {
  signal.throwIfAborted();
  try {
    const pending = client.chat.completions.create(body, { signal }) as PromiseLike<AsyncIterable<ChatCompletionChunk>> & {
      asResponse?: () => Promise<Response>;
    };
    if (!pending.asResponse) {
      // What a client that ignores the signal gives too late is let go at once.
      void Promise.resolve(pending).then((late) => signal.aborted && iterate(late, signal).close(), noop);
      return iterate(await unlessAborted(signal, pending), signal);
    }
    const response = await unlessAborted(signal, pending.asResponse());
    if (!response.body) throw new Error("The response has no body.");
    return decode(response.body.getReader(), signal);
  } catch (error) {
    signal.throwIfAborted();
    throw fromProvider(error);
  }
}

/** Reads an SSE body. */
function decode(reader: ReadableStreamDefaultReader<Uint8Array>, signal: AbortSignal): ModelCall {
  const decoder = new TextDecoder();
  let batch: ChatCompletionChunk[] = [];
  let done = false;
  let failure: unknown;

  const parser = createParser({
    maxBufferSize: maxEventSize,
    onEvent({ data, event }) {
      if (done || failure) return;
      if (data.startsWith("[DONE]")) {
        done = true;
        return;
      }
      try {
        batch.push(asChunk(JSON.parse(data), event));
      } catch (error) {
        failure = error;
      }
    },
    onError(error) {
      // Lines that are not SSE are skipped, as the specification has it; an event without end is not.
      if (error.type === "max-buffer-size-exceeded") failure = error;
    },
  });

  // Cancelling settles a pending read at once, whatever the connection does.
  const cancel = () => void reader.cancel(signal.reason).catch(noop);
  signal.addEventListener("abort", cancel);

  return {
    async read() {
      try {
        while (batch.length === 0 && !failure && !done) {
          const { done: isClosed, value } = await reader.read();
          signal.throwIfAborted();
          // At the end the last event counts even where its blank line is missing.
          parser.feed(isClosed ? `${decoder.decode()}\n\n` : decoder.decode(value, { stream: true }));
          done ||= isClosed;
        }
      } catch (error) {
        signal.throwIfAborted();
        failure = error;
      }
      if (batch.length > 0) {
        const chunks = batch;
        batch = [];
        return chunks;
      }
      if (failure) throw fromProvider(failure);
      return undefined;
    },
    close() {
      signal.removeEventListener("abort", cancel);
      if (!done || signal.aborted) return cancel();
      // Read to its end, a response lends its connection to the next call.
      const timer = setTimeout(cancel, drainTime);
      void reader.read().then(cancel, noop).finally(() => clearTimeout(timer));
    },
  };
}

/** Reads the chunks of a client that gives an iterable instead of a response, for example a tracing wrapper. */
function iterate(chunks: AsyncIterable<ChatCompletionChunk>, signal: AbortSignal): ModelCall {
  const iterator = chunks[Symbol.asyncIterator]();
  return {
    async read() {
      try {
        const { done, value } = await unlessAborted(signal, iterator.next());
        signal.throwIfAborted();
        return done ? undefined : [asChunk(value)];
      } catch (error) {
        signal.throwIfAborted();
        throw fromProvider(error);
      }
    },
    close() {
      // A generator that hangs in next() never gets to this: nobody waits for it.
      void (async () => iterator.return?.())().catch(noop);
    },
  };
}

function asChunk(value: unknown, event?: string): ChatCompletionChunk {
  if (event === "error" || typeof value !== "object" || value === null || ("error" in value && value.error)) {
    throw new Error(`The provider sent ${JSON.stringify(value)?.slice(0, 1000)}.`, { cause: value });
  }
  return value as ChatCompletionChunk;
}

/** What the provider said, as an error of ours: its own words stay in `cause`. */
function fromProvider(cause: unknown): ChatHandlerError {
  const { status, headers } = Object(cause) as { status?: unknown; headers?: unknown };
  if (status !== 429) return new ChatHandlerError("model_failed", "The model could not answer.", { cause });
  const retryAfter = headers instanceof Headers ? headers.get("Retry-After") : undefined;
  // Seconds or an HTTP date; anything else is not passed on.
  const isKnown = retryAfter && /^[\w ,:]{1,40}$/.test(retryAfter);
  return new ChatHandlerError("rate_limited", "The model gets too many requests. Try again later.", {
    cause,
    ...(isKnown && { retryAfter }),
  });
}
