/** Reads the body of a request: JSON only, bounded in size and time. */
import { withTimeout } from "./async.ts";
import { ChatHandlerError, createClientGoneError, createInvalidRequest } from "./errors.ts";

/** How many pieces of a body may be small. */
const maxSmallPieces = 1_000;
/** The average size of the other pieces, at least, in bytes. */
const minPieceBytes = 64;

/** Reads the body as JSON. Rejects if it has more than `limit` bytes, or takes longer than `timeout` milliseconds to arrive. */
export async function readJson(request: Request, limit: number, timeout: number): Promise<unknown> {
  const { headers } = request;
  // Browsers send a form to another origin without asking, with its cookies. They do not send JSON so.
  if (!/^application\/json\s*(;|$)/i.test(headers.get("Content-Type") ?? "")) {
    throw new ChatHandlerError("unsupported_media_type", "Send the body as application/json.");
  }
  const body = new BodyReader(request, limit);
  try {
    return parseJson(await withTimeout(timeout, body.read(), () => body.timedOut(timeout)));
  } catch (error) {
    body.cancel(error);
    throw error;
  }
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw notJson(cause);
  }
}

/** Reads a body once, as text. */
class BodyReader {
  readonly #request: Request;
  readonly #limit: number;
  #stream: ReadableStreamDefaultReader<Uint8Array> | undefined;
  #size = 0;
  #pieces = 0;

  constructor(request: Request, limit: number) {
    this.#request = request;
    this.#limit = limit;
  }

  async read(): Promise<string> {
    const { headers } = this.#request;
    const declared = headers.get("Content-Length") ?? "";
    const length = /^\d+$/.test(declared) ? Number(declared) : NaN;
    // A server holds its client to the length it declared, so that length bounds the body: reading it whole costs far less than
    // reading a stream. It says nothing of a body that an adapter has decompressed.
    const isBounded = length <= this.#limit && !headers.has("Content-Encoding");
    const decoder = new TextDecoder("utf-8", { fatal: true });
    let text = "";
    try {
      // Touched only if needed: the adapters of Node create a whole Request, with its stream, at the first use of `body` or `bodyUsed`.
      if (!isBounded) this.#stream = this.#openStream();
      for (;;) {
        const { done, value } = this.#stream ? await this.#stream.read() : { done: true, value: await this.#request.arrayBuffer() };
        this.#size += value?.byteLength ?? 0;
        if (this.#isTooSmall()) throw createInvalidRequest("", "arrives in too small pieces");
        if (this.#size > this.#limit) {
          if (!(length > 4 * this.#limit)) await this.#drain();
          throw this.#tooLarge();
        }
        text += decode(decoder, value, done);
        if (done) break;
      }
    } catch (cause) {
      throw this.#toError(cause);
    }
    if (this.#size > 0) return text;
    // A Node stream that was read before looks like an empty one.
    if (length > 0) throw alreadyRead();
    throw new ChatHandlerError("invalid_json", "The body is empty. If the client sent one, it was read before the handler received it.");
  }

  #openStream(): ReadableStreamDefaultReader<Uint8Array> | undefined {
    if (this.#request.bodyUsed) throw alreadyRead();
    return this.#request.body?.getReader();
  }

  /**
   * Discards the rest of a body that is too large, up to four times the limit. A server that answers before it has received the whole
   * body often resets the connection, and the client would not see the answer.
   */
  async #drain(): Promise<void> {
    try {
      while (this.#stream && this.#size <= 4 * this.#limit) {
        const { done, value } = await this.#stream.read();
        if (done) return;
        this.#size += value.byteLength;
        if (this.#isTooSmall()) return;
      }
    } catch {
      // The client stopped sending.
    }
  }

  /** Counts a piece. Reading costs by the piece: a megabyte in single bytes takes the process seconds. */
  #isTooSmall(): boolean {
    return ++this.#pieces > maxSmallPieces + this.#size / minPieceBytes;
  }

  #tooLarge(): ChatHandlerError {
    return tooLarge(`${this.#limit} bytes`);
  }

  /** The error of a body that did not arrive within `timeout` milliseconds. */
  timedOut(timeout: number): ChatHandlerError {
    if (this.#size > this.#limit) return this.#tooLarge();
    return new ChatHandlerError("invalid_request", `The body took longer than ${timeout} ms.`);
  }

  cancel(reason: unknown): void {
    void this.#stream?.cancel(reason).catch(() => {});
  }

  #toError(cause: unknown): ChatHandlerError {
    if (cause instanceof ChatHandlerError) return cause;
    if (statusOf(cause) === 413) return tooLarge("the server's own limit for request bodies", cause);
    if (this.#size > 0 || this.#request.signal?.aborted) return createClientGoneError();
    // Every runtime rejects with a TypeError if a body is used or locked.
    if (cause instanceof TypeError && statusOf(cause) === undefined) return alreadyRead(cause);
    return notJson(cause);
  }
}

function decode(decoder: TextDecoder, bytes: ArrayBuffer | Uint8Array | undefined, isLast: boolean): string {
  try {
    return decoder.decode(bytes, { stream: !isLast });
  } catch (cause) {
    throw notJson(cause);
  }
}

/** The HTTP status that a framework attached to an error or to its cause: SvelteKit's size limit, a body parser's error. */
function statusOf(error: unknown): unknown {
  const { status, statusCode, cause } = Object(error) as { status?: unknown; statusCode?: unknown; cause?: unknown };
  return status ?? statusCode ?? (cause ? statusOf(cause) : undefined);
}

const notJson = (cause: unknown) => new ChatHandlerError("invalid_json", "The body is not JSON in UTF-8.", { cause });

const tooLarge = (limit: string, cause?: unknown) => new ChatHandlerError("body_too_large", `The body is larger than ${limit}.`, { cause });

/** The app mounted the handler behind something that reads the body. */
const alreadyRead = (cause?: unknown) =>
  new ChatHandlerError(
    "body_already_read",
    "The request body was read before the handler received it. " +
      'Express, Nest, Koa, Next pages: use toNodeHandler() of "chat-handler/node". ' +
      "Fastify: also pass request.body to it. Hono: pass await cloneRawRequest(context.req).",
    { cause },
  );
