/** The call of a client that returns an async iterable instead of a response, for example a tracing wrapper. */
import type { ChatCompletionChunk } from "openai/resources/chat/completions";
import { callSafely } from "../core/async.ts";
import type { ModelCall } from "./model-call.ts";
import type { ModelDelta } from "./delta.ts";
import { ConnectionLostError } from "./provider-error.ts";
import { readChunk } from "./read-chunk.ts";

type Result = IteratorResult<readonly ModelDelta[], undefined>;

/** Creates a call over a client's own iteration. */
export function createIterableCall(chunks: AsyncIterator<ChatCompletionChunk>, controller: AbortController): ModelCall {
  let endPendingRead = () => {};
  let isDone = false;

  function toResult({ done, value }: IteratorResult<ChatCompletionChunk, unknown>): Result {
    isDone = done ?? false;
    return done ? { done, value: undefined } : { done: false, value: [readChunk(value)] };
  }

  return {
    next: () =>
      new Promise((resolve, reject) => {
        endPendingRead = () => resolve({ done: true, value: undefined });
        Promise.resolve(chunks.next())
          .then(
            (result) => resolve(toResult(result as IteratorResult<ChatCompletionChunk, unknown>)),
            (error) => reject(isAboutContent(error) ? error : new ConnectionLostError(error)),
          )
          .catch(reject);
      }),
    close() {
      queueMicrotask(() => {
        // After a chunk that has arrived already.
        endPendingRead();
        if (!isDone) controller.abort();
      });
      // Not awaited: a generator that hangs in `next()` never returns.
      callSafely(() => chunks.return?.()).catch(() => {});
    },
  };
}

/** Whether the client rejected what the provider sent: text that is not JSON, or an error event. Anything else is the connection. */
function isAboutContent(error: unknown): boolean {
  const { status, error: event } = Object(error) as { status?: unknown; error?: unknown };
  return error instanceof SyntaxError || status !== undefined || event !== undefined;
}
