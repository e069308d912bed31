/** One call of the model, as an async sequence of chunks. */
import type { ChatCompletionChunk, ChatCompletionCreateParamsStreaming } from "openai/resources/chat/completions";
import { raceAbort } from "../core/async.ts";
import type { ModelClient } from "../core/model-client.ts";
import { EventStreamCall } from "./event-stream-call.ts";
import { createIterableCall } from "./iterable-call.ts";
import type { ModelCall } from "./model-call.ts";

/** Calls the model. An abort ends the wait at once, also with a client that ignores it. */
export async function callModel(
  client: ModelClient,
  body: ChatCompletionCreateParamsStreaming,
  controller: AbortController,
): Promise<ModelCall> {
  const { signal } = controller;
  const pending: PendingResponse = client.chat.completions.create(body, { signal });
  const response = Promise.resolve<Response | AsyncIterable<ChatCompletionChunk>>(pending.asResponse ? pending.asResponse() : pending);
  closeLateResponse(response, pending, controller);
  return openCall(await raceAbort(signal, response), controller);
}

type PendingResponse = PromiseLike<AsyncIterable<ChatCompletionChunk>> & { asResponse?: () => Promise<Response> };

/** Closes a response that arrives after an abort, and handles the rejections that nobody else awaits. */
function closeLateResponse(
  response: Promise<Response | AsyncIterable<ChatCompletionChunk>>,
  pending: PendingResponse,
  controller: AbortController,
): void {
  response
    .then(
      (late) => {
        if (controller.signal.aborted) openCall(late, controller).close();
      },
      // A tracing wrapper returns a promise of its own, which rejects too.
      () => pending,
    )
    .catch(() => {});
}

function openCall(response: Response | AsyncIterable<ChatCompletionChunk>, controller: AbortController): ModelCall {
  if (Symbol.asyncIterator in response) return createIterableCall(response[Symbol.asyncIterator](), controller);
  if (!response.body) throw new Error("The provider sent a response without a body.");
  return new EventStreamCall(response.body, controller);
}
