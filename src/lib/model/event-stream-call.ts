/** The call of a client that returns the provider's response: decodes its server-sent events, one network read at a time. */
import { createParser } from "eventsource-parser";
import { callSafely, withTimeout } from "../core/async.ts";
import type { ModelCall } from "./model-call.ts";
import type { ModelDelta } from "./delta.ts";
import { readChunk } from "./read-chunk.ts";

/** The most text without the end of an event, in characters. */
const maxEventSize = 1024 * 1024;
/** How long a finished response may take to end, in milliseconds, so that its connection can be used again. */
const drainTime = 1_000;

/** Creates a call over the body of a response. */
export function createEventStreamCall(body: ReadableStream<Uint8Array>, controller: AbortController): ModelCall {
  const reader = body.getReader();
  const decoder = new TextDecoder();
  let isDone = false;
  let isClosed = false;
  /** Characters since the end of the last event. */
  let unfinished = 0;
  let deltas: ModelDelta[] = [];
  // Lines that are not server-sent events are skipped, as the specification says.
  const parser = createParser({
    onEvent({ data, event }) {
      unfinished = 0;
      if (data.startsWith("[DONE]")) isDone = true;
      if (!isDone) deltas.push(readChunk(JSON.parse(data), event));
    },
  });

  function decode({ done, value }: ReadableStreamReadResult<Uint8Array>): IteratorResult<readonly ModelDelta[], undefined> {
    // A closed call ends with what it gave before: the half of an event may be in the parser.
    if (isClosed) return { done: true, value: undefined };
    // The last event counts even when its blank line is missing.
    const text = done ? "\n\n" : decoder.decode(value, { stream: true });
    unfinished += text.length;
    parser.feed(text);
    if (unfinished > maxEventSize) throw new Error(`The provider sent an event larger than ${maxEventSize} characters.`);
    if (done) isDone = true;
    const read = deltas;
    deltas = [];
    return isDone && read.length === 0 ? { done: true, value: undefined } : { done: false, value: read };
  }

  function cancel(): void {
    // Settles a pending read at once.
    callSafely(() => reader.cancel()).catch(() => {});
    // A client that logs reads a copy of the body, and cancelling one of two copies does not close the connection.
    controller.abort();
  }

  return {
    next: () => (isDone ? Promise.resolve({ done: true as const, value: undefined }) : reader.read().then(decode)),
    close() {
      isClosed = true;
      if (!isDone) return cancel();
      const drained = withTimeout(drainTime, reader.read(), () => new Error("The response did not end."));
      drained.then(({ done }) => done || cancel(), cancel);
    },
  };
}
