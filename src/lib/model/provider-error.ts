/**
 * Errors of a model call. What the provider says of them stays in `cause`, for the app's log.
 *
 * An error after the status line of a 200 comes as an event. Its forms:
 *
 * | form | seen at |
 * | --- | --- |
 * | `{"error":{"message","code":429}}`, also with `"choices":[]` beside it | OpenRouter (dcdpr/jp#978), llama.cpp (ggml-org/llama.cpp#14566), LiteLLM (BerriAI/litellm#40578), vLLM (vllm-project/guidellm#743) |
 * | `{"error":{"code":"rate_limit_exceeded","type":"tokens"}}` | OpenAI, Groq |
 * | `{"error":{"code":429,"status":"RESOURCE_EXHAUSTED"}}`, also as the only item of a list | Gemini |
 * | `{"error":"text"}` | Ollama |
 * | `{"object":"error","message","code":400}` | Mistral, older vLLM and SGLang |
 * | `{"type":"error","error":{"type":"overloaded_error"}}` | Anthropic (brightwave-inc/tidebreak#1122) |
 * | `event: error` with any data | servers that name their events |
 */
import { ChatHandlerError, toChatHandlerError } from "../core/errors.ts";

/** An error that the provider sent as an event. */
export class ProviderError extends Error {
  /** The HTTP status that it stands for, if the provider says one. */
  readonly status: number | undefined;

  constructor(message: string, status?: number) {
    super(message);
    this.status = status;
  }
}

/** The connection broke while the model was answering. */
export class ConnectionLostError extends Error {
  constructor(cause: unknown) {
    super("The connection to the provider broke.", { cause });
  }
}

/** Words for "too many requests" in the fields `code`, `type` and `status` of an error. */
const rateLimitWords: readonly unknown[] = [
  "rate_limit_exceeded", // OpenAI, Groq
  "rate_limit_error", // Anthropic
  "rate_limited", // Mistral
  "too_many_requests",
  "RESOURCE_EXHAUSTED", // Gemini
];

/** Statuses of a provider that rejects the request itself, and would reject it again. */
const refusals: readonly unknown[] = [400, 413, 422];

/** Returns the error that a parsed event is, if it is one. */
export function findProviderError(value: unknown, eventName: string | undefined): ProviderError | undefined {
  if (typeof value !== "object" || value === null) return new ProviderError(`The provider sent ${quote(value)}.`);
  const { error, object, type } = value as { error?: unknown; object?: unknown; type?: unknown };
  const isError = error || object === "error" || type === "error" || eventName === "error";
  if (!isError) return undefined;
  return new ProviderError(`The provider sent ${quote(value)}.`, findStatus(error ?? value));
}

/** The error of a failed call. */
export function toModelError(cause: unknown): ChatHandlerError {
  const { status, headers } = Object(cause) as { status?: unknown; headers?: Partial<Headers> };
  if (status !== 429) return toChatHandlerError(cause, "model_failed", "The model could not answer.");
  const retryAfter = headers?.get?.("Retry-After") ?? undefined;
  return new ChatHandlerError("rate_limited", "The model gets too many requests. Try again later.", { cause, retryAfter });
}

/** Whether the provider rejected the request itself: with the same prompt it would reject every later request of the thread, too. */
export function isRefusal({ code, cause }: ChatHandlerError): boolean {
  return code === "model_failed" && refusals.includes((Object(cause) as { status?: unknown }).status);
}

function findStatus(error: unknown): number | undefined {
  const { code, type, status } = Object(error) as { code?: unknown; type?: unknown; status?: unknown };
  const fields = [code, status, type];
  if (fields.some((field) => rateLimitWords.includes(field))) return 429;
  return fields.map(Number).find((number) => number >= 400 && number < 600);
}

/** As JSON: escaped, on one line, and no longer than a log can take. */
function quote(value: unknown): string {
  return JSON.stringify(value).slice(0, 1000);
}
