/** Reads a body without trusting its length. */

/**
 * All bytes of a body, or `undefined` as soon as there are more than `limit`; the rest is then not read.
 * Rejects with the signal's reason when it aborts.
 */
export async function readBody(
  body: ReadableStream<Uint8Array>,
  limit: number,
  signal: AbortSignal,
): Promise<Uint8Array | undefined> {
  const reader = body.getReader();
  const cancel = () => void reader.cancel(signal.reason).catch(() => {});
  signal.addEventListener("abort", cancel, { once: true });
  try {
    signal.throwIfAborted();
    const pieces: Uint8Array[] = [];
    let size = 0;
    for (;;) {
      const { done, value } = await reader.read();
      signal.throwIfAborted();
      if (done) return concat(pieces, size);
      size += value.byteLength;
      if (size > limit) {
        cancel();
        return undefined;
      }
      pieces.push(value);
    }
  } finally {
    signal.removeEventListener("abort", cancel);
  }
}

function concat(pieces: Uint8Array[], size: number): Uint8Array {
  if (pieces.length === 1 && pieces[0]) return pieces[0];
  const bytes = new Uint8Array(size);
  let offset = 0;
  for (const piece of pieces) {
    bytes.set(piece, offset);
    offset += piece.byteLength;
  }
  return bytes;
}
