/**
 * What can go wrong in a turn: a closed union of codes, each with its HTTP status, in the JSON form that
 * OpenAI's own clients read.
 */

const statusOf = {
  invalid_json: 400,
  invalid_request: 400,
  unauthorized: 401,
  forbidden: 403,
  not_found: 404,
  method_not_allowed: 405,
  thread_busy: 409,
  id_conflict: 409,
  body_too_large: 413,
  unsupported_media_type: 415,
  rate_limited: 429,
  client_gone: 499,
  body_already_read: 500,
  internal: 500,
  model_failed: 502,
  answer_incomplete: 502,
  answer_too_large: 502,
  store_failed: 503,
  model_timeout: 504,
  turn_timeout: 504,
} as const;

/**
 * Everything a handler can fail with.
 *
 * | code | status | when |
 * | --- | --- | --- |
 * | `invalid_json` | 400 | the body is empty, or not JSON in UTF-8 |
 * | `invalid_request` | 400 | the body has the wrong shape (`param` names the path), or took too long to arrive |
 * | `unauthorized`, `forbidden`, `not_found` | 401, 403, 404 | for `authorize` to throw; `not_found` also where a thread, an answer or a route is not there |
 * | `method_not_allowed` | 405 | the route does not know the method |
 * | `thread_busy` | 409 | a turn is running and `concurrency` is `"reject"`, or the queue is full or too slow |
 * | `id_conflict` | 409 | an id was used before for something else, the prompt was deleted while it was answered, its thread while it waited, or form state came with another answer than the stored one |
 * | `body_too_large` | 413 | the body exceeds `limits.bodyBytes`, or the framework's own limit |
 * | `unsupported_media_type` | 415 | the body is not `application/json` |
 * | `rate_limited` | 429 | the model's provider said so, and its `Retry-After` is passed on; or `authorize` threw it |
 * | `client_gone` | 499 | the client left; nobody reads this one |
 * | `body_already_read` | 500 | the app mounted the handler behind something that reads the body; the message names the fix |
 * | `internal` | 500 | an option of the app threw (`authorize`, `model`, `params`, `systemPrompt`), or a fault of ours |
 * | `model_failed` | 502 | the provider failed, cut the answer off, said nothing or sent nonsense |
 * | `answer_incomplete` | 502 | the model stopped early: its finish reason does not say that it was done; it used up `limits.steps`; or it called a tool and the app has no `tools` |
 * | `answer_too_large` | 502 | `limits.answerCharacters` |
 * | `store_failed` | 503 | the store rejected or hung |
 * | `model_timeout` | 504 | `timeouts.firstChunk` or `timeouts.idle` |
 * | `turn_timeout` | 504 | `timeouts.turn` |
 */
export type ChatHandlerErrorCode = keyof typeof statusOf;

/** What a {@link ChatHandlerError} may carry besides its code and message. */
export interface ChatHandlerErrorOptions extends ErrorOptions {
  /** Path of the offending field in the request body, for example `prompt.content`. */
  param?: string | undefined;
  /** Seconds or HTTP date for a `Retry-After` header. */
  retryAfter?: string | undefined;
}

/**
 * The one error of this library. Its `message` is written for the client and holds no secrets; what it came
 * from is in `cause`, for the app's `onError` alone. Throw one from `authorize` to refuse a request with
 * its status.
 */
export class ChatHandlerError extends Error {
  /** Tells it from other errors where `instanceof` cannot, across two copies of the library. */
  override readonly name = "ChatHandlerError";
  // `declare`: each is assigned below, and no field of its own need be in the bundle.
  /** Which of the known faults this is. */
  declare readonly code: ChatHandlerErrorCode;
  /** The HTTP status that goes with the code. */
  declare readonly status: number;
  /** Path of the offending field in the request body. */
  declare readonly param: string | undefined;
  /** Value for a `Retry-After` header. */
  declare readonly retryAfter: string | undefined;

  constructor(code: ChatHandlerErrorCode, message: string, options: ChatHandlerErrorOptions = {}) {
    super(message, options);
    this.code = code;
    // JavaScript may pass a code that does not exist.
    this.status = Object.hasOwn(statusOf, code) ? statusOf[code] : 500;
    this.param = options.param;
    this.retryAfter = options.retryAfter;
  }
}

/** Any thrown value as a {@link ChatHandlerError}, so that nothing of a stranger's message reaches the wire. */
export function asChatHandlerError(
  cause: unknown,
  code: ChatHandlerErrorCode = "internal",
  message = "Something went wrong.",
): ChatHandlerError {
  try {
    if (cause instanceof ChatHandlerError) return cause;
  } catch {
    // A proxy may refuse to be looked at.
  }
  return new ChatHandlerError(code, message, { cause });
}

/** What a reader that left finds; nobody else sees it. */
export const clientGone = (): ChatHandlerError => new ChatHandlerError("client_gone", "The client left.");

/** A 400 that names the field. */
export function invalid(param: string, problem: string): ChatHandlerError {
  return new ChatHandlerError("invalid_request", `${param || "The body"} ${problem}.`, { param: param || undefined });
}

/** The error as a JSON response: `{ "error": { "message", "type", "code", "param"? } }`. */
export function errorResponse({ message, code, param, status, retryAfter }: ChatHandlerError, allow = "POST"): Response {
  const headers = {
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
    // Seconds or an HTTP date; it may be the provider's, whose words are not passed on.
    ...(/^(\d+|\w{3}, [\w :]{20} GMT)$/.test(retryAfter!) && { "Retry-After": retryAfter! }),
    ...(status === 405 && { Allow: allow }),
  };
  // JSON leaves out a param that is undefined.
  return Response.json(
    { error: { message, type: status < 500 ? "invalid_request_error" : "server_error", code, param } },
    { status, headers },
  );
}
