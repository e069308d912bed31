/** The one error of this library, and its form on the wire. */

const statusOf = {
  invalid_json: 400,
  invalid_request: 400,
  unauthorized: 401,
  forbidden: 403,
  not_found: 404,
  method_not_allowed: 405,
  thread_busy: 409,
  id_conflict: 409,
  thread_deleted: 409,
  form_mismatch: 409,
  turn_stopped: 409,
  cursor_gone: 410,
  body_too_large: 413,
  unsupported_media_type: 415,
  rate_limited: 429,
  too_many_turns: 429,
  client_gone: 499,
  body_already_read: 500,
  internal: 500,
  model_failed: 502,
  answer_incomplete: 502,
  answer_too_large: 502,
  store_failed: 503,
  coordinator_failed: 503,
  lease_lost: 503,
  model_timeout: 504,
  turn_timeout: 504,
} as const;

/**
 * What went wrong. Each code has one meaning and one HTTP status.
 *
 * | code | status | when |
 * | --- | --- | --- |
 * | `invalid_json` | 400 | The body is empty, or not JSON in UTF-8. |
 * | `invalid_request` | 400 | The body has the wrong shape (`param` names the field), or took longer than `timeouts.body`. |
 * | `unauthorized` | 401 | Yours: throw it from `authorize`. |
 * | `forbidden` | 403 | Yours: throw it from `authorize`. |
 * | `not_found` | 404 | The thread, the answer or the route does not exist, or belongs to another owner. |
 * | `method_not_allowed` | 405 | The route does not support the method. |
 * | `thread_busy` | 409 | Another turn runs on the thread and `concurrency` is `"reject"`, or the queue is full, or the wait took longer than `timeouts.queue`. |
 * | `id_conflict` | 409 | An id was used before for something else, or belongs to a prompt that is too far back in its thread to be answered again. |
 * | `thread_deleted` | 409 | The thread or the prompt was deleted while the prompt waited or was answered. |
 * | `form_mismatch` | 409 | Form state came with an answer that differs from the stored one. |
 * | `turn_stopped` | 409 | The turn was stopped: by `stop`, or by a new prompt with `concurrency: "interrupt"`. |
 * | `cursor_gone` | 410 | The cursor belongs to another attempt at the answer. Start from its beginning. |
 * | `body_too_large` | 413 | The body is larger than `limits.bodyBytes`, or than the framework's own limit. |
 * | `unsupported_media_type` | 415 | The body is not `application/json`. |
 * | `rate_limited` | 429 | The provider returned 429; its `Retry-After` is passed on. You can throw it from `admit` and `authorize`, too. |
 * | `too_many_turns` | 429 | The owner has `limits.turnsPerOwner` requests that wait, run or are still read. |
 * | `client_gone` | 499 | The client disconnected. No client sees this code. |
 * | `body_already_read` | 500 | Something in front of the handler reads the body. The message names the fix. |
 * | `internal` | 500 | A function of the app threw (`admit`, `authorize`, `model`, `params`, `systemPrompt`), or the handler has a defect. |
 * | `model_failed` | 502 | The provider failed, cut the answer off, sent no text, or sent something that is not a chat completion. |
 * | `answer_incomplete` | 502 | The model stopped early: its finish reason does not mean "done", it used up `limits.steps`, or it called a tool in an app without `tools`. |
 * | `answer_too_large` | 502 | The answer is longer than `limits.answerCharacters`. |
 * | `store_failed` | 503 | The store rejected, or took longer than `timeouts.store`. |
 * | `coordinator_failed` | 503 | The coordinator rejected or did not answer, and `whenUnreachable` is `"refuse"`, or the request needs another instance. |
 * | `lease_lost` | 503 | The instance that wrote the answer died, or another one has taken over the thread. The same ids make a new answer. |
 * | `model_timeout` | 504 | The model was silent for longer than `timeouts.firstChunk` or `timeouts.idle`. |
 * | `turn_timeout` | 504 | The turn took longer than `timeouts.turn`. |
 */
export type ChatHandlerErrorCode = keyof typeof statusOf;

/** Further properties of a {@link ChatHandlerError}. */
export interface ChatHandlerErrorOptions extends ErrorOptions {
  /** Path of the wrong field in the request body, for example `prompt.content`. */
  param?: string | undefined;
  /** Value of the `Retry-After` header: seconds as text, or an HTTP date. */
  retryAfter?: string | undefined;
}

/**
 * Every failure of a handler. Its `message` is written for the client and contains nothing of the provider or the database. Their error is in
 * `cause`, which only `onError` receives. Throw one from `authorize` to reject a request with its status.
 *
 * @example
 * throw new ChatHandlerError("unauthorized", "Sign in first.");
 */
export class ChatHandlerError extends Error {
  /** Identifies the class across two copies of the library, where `instanceof` fails. */
  override readonly name = "ChatHandlerError";
  /** What went wrong. */
  readonly code: ChatHandlerErrorCode;
  /** The HTTP status of the code. */
  readonly status: number;
  /** Path of the wrong field in the request body. */
  readonly param: string | undefined;
  /** Value of the `Retry-After` header. */
  readonly retryAfter: string | undefined;

  constructor(code: ChatHandlerErrorCode, message: string, options: ChatHandlerErrorOptions = {}) {
    super(message, options);
    this.code = code;
    // Plain JavaScript may pass an unknown code.
    this.status = Object.hasOwn(statusOf, code) ? statusOf[code] : 500;
    this.param = options.param;
    this.retryAfter = options.retryAfter;
  }
}

/** Converts any thrown value. The message of a foreign error stays in `cause`, so that it never reaches the wire. */
export function toChatHandlerError(
  cause: unknown,
  code: ChatHandlerErrorCode = "internal",
  message = "Something went wrong.",
): ChatHandlerError {
  try {
    if (cause instanceof ChatHandlerError) return cause;
  } catch {
    // `instanceof` runs code of a Proxy, which may throw.
  }
  return new ChatHandlerError(code, message, { cause });
}

/** The error of a client that disconnected. */
export function createClientGoneError(): ChatHandlerError {
  return new ChatHandlerError("client_gone", "The client disconnected.");
}

/** The error of a turn that somebody stopped. */
export function createStoppedError(): ChatHandlerError {
  return new ChatHandlerError("turn_stopped", "The answer was stopped.");
}

/** The error of a turn whose thread went to another instance. */
export function createLeaseLostError(cause?: unknown): ChatHandlerError {
  return new ChatHandlerError("lease_lost", "The instance that wrote the answer was lost. Try again.", { cause, retryAfter: "1" });
}

/** The error of a coordinator that failed. */
export function createCoordinatorError(cause: unknown): ChatHandlerError {
  return new ChatHandlerError("coordinator_failed", "Other instances cannot be reached. Try again.", { cause, retryAfter: "1" });
}

/** The error of an id that was used before for something else. */
export function createIdConflict(param: string): ChatHandlerError {
  return new ChatHandlerError("id_conflict", `${param} was used before for something else. Send a new id.`, { param });
}

/** The error of a thread or prompt that was deleted meanwhile. */
export function createThreadDeletedError(): ChatHandlerError {
  return new ChatHandlerError("thread_deleted", "The thread or the prompt was deleted meanwhile. Send the prompt with new ids.");
}

/** The 400 of a field with a wrong value. */
export function createInvalidRequest(param: string, problem: string): ChatHandlerError {
  return new ChatHandlerError("invalid_request", `${param || "The body"} ${problem}.`, { param: param || undefined });
}

/** The error as JSON in OpenAI's form: `{ "error": { "message", "type", "code", "param"? } }`. */
export function createErrorResponse({ message, code, param, status, retryAfter }: ChatHandlerError, allow = "POST"): Response {
  const headers = new Headers({ "Cache-Control": "no-store", "X-Content-Type-Options": "nosniff" });
  if (retryAfter !== undefined && isRetryAfter(retryAfter)) headers.set("Retry-After", retryAfter);
  if (status === 405) headers.set("Allow", allow);
  const type = status < 500 ? "invalid_request_error" : "server_error";
  return Response.json({ error: { message, type, code, param } }, { status, headers });
}

/** Whether a value is seconds or an HTTP date. The provider may send anything, and its words are not passed on. */
function isRetryAfter(value: string): boolean {
  return /^(\d+|\w{3}, [\w :]{20} GMT)$/.test(value);
}
