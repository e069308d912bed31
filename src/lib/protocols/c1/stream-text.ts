/** The answer's text as a stream. The only file that knows `@crayonai/stream`. */
import { transformStream } from "@crayonai/stream/dist/utils.js";

/**
 * Streams texts with C1's `transformStream`, which has no backpressure and ignores cancellation. So the source must pace itself, and a caller that
 * cancels must end the source.
 */
export function streamText(texts: AsyncIterable<string>): ReadableStream<string> {
  // Its declared type is Node's own stream class, which other runtimes do not have.
  return transformStream(texts, unchanged) as unknown as ReadableStream<string>;
}

function unchanged(text: string): string {
  return text;
}
