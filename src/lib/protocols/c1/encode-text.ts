/** The bytes of an answer to C1Chat. The only file that knows `@crayonai/stream`. */
import { transformStream } from "@crayonai/stream/dist/utils.js";

/**
 * Encodes texts with C1's `transformStream`. It reads its source as fast as that gives texts, and ignores a cancelled reader. So the source has to
 * pace itself, and whoever cancels has to end the source.
 */
export function encodeText(texts: AsyncIterable<string>): ReadableStream<Uint8Array> {
  const encoder = new TextEncoder();
  // Its declared type is Node's own stream class, of which other runtimes know nothing.
  return transformStream(texts, (text: string) => encoder.encode(text)) as unknown as ReadableStream<Uint8Array>;
}
