/** The answer's text as a stream. The only file that knows `@crayonai/stream`. */
import { transformStream } from "@crayonai/stream/dist/utils.js";

/**
 * Streams texts with C1's `transformStream`. It reads its source as fast as that returns texts, and ignores a cancelled reader. So the source has to
 * pace itself, and whoever cancels has to end the source.
 */
export function streamText(texts: AsyncIterable<string>): ReadableStream<string> {
  // Its declared type is Node's own stream class, which other runtimes do not have.
  return transformStream(texts, (text: string) => text) as unknown as ReadableStream<string>;
}
