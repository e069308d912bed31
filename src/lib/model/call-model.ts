/** One call of the model, as an async sequence of chunks. */
import type { ChatCompletionChunk, ChatCompletionCreateParamsStreaming } from "openai/resources/chat/completions";
import { raceAbort } from "../core/async.ts";
import type { ModelClient } from "../core/model-client.ts";
import { boundErrorBodies } from "./bound-error-bodies.ts";
import { EventStreamCall } from "./event-stream-call.ts";
import { createIterableCall } from "./iterable-call.ts";
import type { ModelCall } from "./model-call.ts";

/** How to call the model. */
export interface CallOptions {
  /** Aborts the call. An abort ends the wait at once, also with a client that ignores it. */
  controller: AbortController;
  /** Most characters of the answer, which bounds the size of an event. */
  answerCharacters: number;
}

/** Calls the model. */
export async function callModel(client: ModelClient, body: ChatCompletionCreateParamsStreaming, options: CallOptions): Promise<ModelCall> {
  const { signal } = options.controller;
  boundErrorBodies(client);
  const pending: PendingResponse = client.chat.completions.create(body, { signal });
  const response = Promise.resolve<Response | AsyncIterable<ChatCompletionChunk>>(pending.asResponse ? pending.asResponse() : pending);
  closeLateResponse(response, pending, options);
  return openCall(await raceAbort(signal, response), options);
}

type PendingResponse = PromiseLike<AsyncIterable<ChatCompletionChunk>> & { asResponse?: () => Promise<Response> };

/** Closes a response that arrives after an abort, and handles the rejections that nobody else awaits. */
function closeLateResponse(
  response: Promise<Response | AsyncIterable<ChatCompletionChunk>>,
  pending: PendingResponse,
  options: CallOptions,
): void {
  response
    .then(
      (late) => {
        if (options.controller.signal.aborted) openCall(late, options).close();
      },
      // A tracing wrapper returns a promise of its own, which rejects too.
      () => pending,
    )
    .catch(() => {});
}

function openCall(response: Response | AsyncIterable<ChatCompletionChunk>, { controller, answerCharacters }: CallOptions): ModelCall {
  if (Symbol.asyncIterator in response) return createIterableCall(response[Symbol.asyncIterator](), controller);
  if (!response.body) throw new Error("The provider sent a response without a body.");
  return new EventStreamCall(response.body, controller, answerCharacters);
}
