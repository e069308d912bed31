/** The smallest client that can call a model. */
import type { ChatCompletionChunk, ChatCompletionCreateParamsStreaming } from "openai/resources/chat/completions";

/** The method of an OpenAI client that the handler calls. Every `OpenAI` instance has it, and so has a wrapper around one. */
export interface ModelClient {
  /** As in the `openai` package. */
  chat: {
    /** As in the `openai` package. */
    completions: {
      /**
       * Starts a streamed completion. When the returned promise has `asResponse()`, as in the `openai` package, the handler decodes
       * the raw response itself, which costs a third of the package's own iteration.
       */
      create(body: ChatCompletionCreateParamsStreaming, options: { signal: AbortSignal }): PromiseLike<AsyncIterable<ChatCompletionChunk>>;
    };
  };
}
