/**
 * One call of the model as a sequence of chunk batches, one batch for each read from the network. The only file
 * that knows SSE.
 */
import { createParser } from "eventsource-parser";
import type { ChatCompletion, ChatCompletionChunk, ChatCompletionCreateParamsStreaming } from "openai/resources/chat/completions";
import { readBody } from "./body.ts";
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
  /** Lets go of the connection. Safe at any time and more than once. */
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
  const aborted = rejectOnAbort(signal);
  try {
    const pending = client.chat.completions.create(body, { signal });
    if (!hasResponse(pending)) {
      return iterate(await aborted.race(pending, letGoOfIterable), signal);
    }
    const response = await aborted.race(pending.asResponse(), (late) => void late.body?.cancel().catch(noop));
    if (!response.body) throw nonsense("The model's answer has no body.");
    const isJson = /^application\/json\b/i.test(response.headers.get("Content-Type") ?? "");
    return isJson ? whole(await readBody(response.body, maxEventSize, signal)) : decode(response.body, signal);
  } catch (error) {
    signal.throwIfAborted();
    throw fromProvider(error);
  } finally {
    aborted.stop();
  }
}

/** Reads an SSE body. */
function decode(body: ReadableStream<Uint8Array>, signal: AbortSignal): ModelCall {
  const reader = body.getReader();
  const decoder = new TextDecoder();
  let batch: ChatCompletionChunk[] = [];
  let done = false;
  let failure: unknown;

  const parser = createParser({
    maxBufferSize: maxEventSize,
    onEvent({ data, event }) {
      if (done || failure !== undefined) return;
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
  const close = () => {
    signal.removeEventListener("abort", cancel);
    if (done && !signal.aborted) void drain(reader);
    else cancel();
  };
  signal.addEventListener("abort", cancel, { once: true });

  return {
    async read() {
      try {
        while (batch.length === 0 && failure === undefined && !done) {
          const { done: closed, value } = await reader.read();
          signal.throwIfAborted();
          if (closed) {
            // The last event counts even where its blank line is missing.
            parser.feed(`${decoder.decode()}\n\n`);
            done = true;
          } else parser.feed(decoder.decode(value, { stream: true }));
        }
      } catch (error) {
        signal.throwIfAborted();
        failure ??= error;
      }
      if (batch.length > 0) {
        const chunks = batch;
        batch = [];
        return chunks;
      }
      if (failure !== undefined) throw fromProvider(failure);
      return undefined;
    },
    close,
  };
}

/** A response read to its end can lend its connection to the next call; one that does not end is cancelled. */
async function drain(reader: ReadableStreamDefaultReader<Uint8Array>): Promise<void> {
  const giveUp = () => void reader.cancel().catch(noop);
  const timer = setTimeout(giveUp, drainTime);
  try {
    for (let reads = 0; reads < 8; reads++) if ((await reader.read()).done) return;
    giveUp();
  } catch {
    // The answer is whole already: how its connection ends changes nothing.
  } finally {
    clearTimeout(timer);
  }
}

/** Reads the chunks of a client that gives an iterable instead of a response, for example a tracing wrapper. */
function iterate(chunks: AsyncIterable<ChatCompletionChunk>, signal: AbortSignal): ModelCall {
  if (typeof chunks?.[Symbol.asyncIterator] !== "function") throw nonsense("The client's create() gave no stream of chunks.");
  const iterator = chunks[Symbol.asyncIterator]();
  const aborted = rejectOnAbort(signal);
  return {
    async read() {
      try {
        const { done, value } = await aborted.race(iterator.next(), noop);
        signal.throwIfAborted();
        return done ? undefined : [asChunk(value, undefined)];
      } catch (error) {
        signal.throwIfAborted();
        throw fromProvider(error);
      }
    },
    close() {
      aborted.stop();
      letGoOfIterator(iterator);
    },
  };
}

/** A provider that ignored `stream: true` and answered in one piece. */
function whole(body: Uint8Array | undefined): ModelCall {
  if (!body) throw nonsense("The model's answer is too large.");
  const completion = asChunk(JSON.parse(new TextDecoder().decode(body)), undefined) as unknown as ChatCompletion;
  let chunk: ChatCompletionChunk | undefined = {
    id: completion.id,
    created: completion.created,
    model: completion.model,
    object: "chat.completion.chunk",
    usage: completion.usage ?? null,
    choices: (completion.choices ?? []).map(({ index, message, finish_reason }) => ({
      index,
      finish_reason,
      delta: {
        content: message?.content ?? null,
        refusal: message?.refusal ?? null,
        tool_calls: (message?.tool_calls ?? []).flatMap((call, index) =>
          call.type === "function" ? [{ index, id: call.id, type: call.type, function: call.function }] : [],
        ),
      },
    })),
  };
  return {
    async read() {
      const batch = chunk && [chunk];
      chunk = undefined;
      return batch;
    },
    close: noop,
  };
}

function asChunk(value: unknown, event: string | undefined): ChatCompletionChunk {
  if (typeof value !== "object" || value === null || Array.isArray(value)) throw nonsense("The model sent a chunk that is no object.");
  if (event === "error" || ("error" in value && value.error)) {
    throw new ChatHandlerError("model_failed", "The model's provider reported an error.", { cause: value });
  }
  return value as ChatCompletionChunk;
}

const nonsense = (message: string) => new ChatHandlerError("model_failed", message);

/** What the provider said, as an error of ours: its own words stay in `cause`. */
function fromProvider(error: unknown): ChatHandlerError {
  if (error instanceof ChatHandlerError) return error;
  const { status, headers } = (typeof error === "object" && error !== null ? error : {}) as { status?: unknown; headers?: unknown };
  if (status !== 429) return new ChatHandlerError("model_failed", "The model could not answer.", { cause: error });
  return new ChatHandlerError("rate_limited", "The model is receiving too many requests. Try again later.", {
    cause: error,
    retryAfter: retryAfter(headers),
  });
}

function retryAfter(headers: unknown): string | undefined {
  const value = headers instanceof Headers ? headers.get("Retry-After") : undefined;
  // Seconds or an HTTP date; anything else is not passed on.
  return value && (/^\d{1,9}$/.test(value) || /^[A-Za-z0-9 ,:]{20,40}$/.test(value)) ? value : undefined;
}

function hasResponse(pending: object): pending is { asResponse(): Promise<Response> } {
  return "asResponse" in pending && typeof pending.asResponse === "function";
}

/** Races promises against a signal with one listener, so that a long answer leaves no chain of reactions behind. */
function rejectOnAbort(signal: AbortSignal) {
  let reject: ((reason: unknown) => void) | undefined;
  const abort = () => reject?.(signal.reason);
  signal.addEventListener("abort", abort, { once: true });
  return {
    /** The promise, or the signal's reason, whichever is first; a value that comes too late goes to `discard`. */
    race<T>(promise: PromiseLike<T>, discard: (late: T) => void): Promise<T> {
      return new Promise<T>((resolve, rejectThis) => {
        reject = rejectThis;
        promise.then((value) => {
          if (signal.aborted) discard(value);
          resolve(value);
        }, rejectThis);
        if (signal.aborted) abort();
      });
    },
    stop: () => signal.removeEventListener("abort", abort),
  };
}

function letGoOfIterable(chunks: AsyncIterable<ChatCompletionChunk>): void {
  if (typeof chunks?.[Symbol.asyncIterator] === "function") letGoOfIterator(chunks[Symbol.asyncIterator]());
}

function letGoOfIterator(iterator: AsyncIterator<ChatCompletionChunk>): void {
  // A generator that hangs in next() queues this call for ever: nobody waits for it.
  try {
    void Promise.resolve(iterator.return?.()).catch(noop);
  } catch {
    // The call is over either way.
  }
}
