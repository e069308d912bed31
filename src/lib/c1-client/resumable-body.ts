/** The body of an answer that outlives its connection. */

/** What a body needs to go on after its connection broke. */
export interface ResumableBodyOptions {
  /** Requests the rest of the answer from a cursor. Resolves to `undefined` if there is none. Rejects when the answer is not wanted any more. */
  reconnect(cursor: string): Promise<Response | undefined>;
  /** Called once, with the error if the answer is partial. The body waits for it. */
  onEnd(error?: unknown): Promise<void>;
}

/**
 * Returns the body of a response. If its connection breaks, it continues with the rest from a new one, so that the reader sees one stream of
 * bytes. Without a cursor in the headers it breaks like the response.
 */
export function createResumableBody(response: Response, { reconnect, onEnd }: ResumableBodyOptions): ReadableStream<Uint8Array> {
  const [, attempt, start] = /^(.+)_(\d+)$/.exec(response.headers.get("X-Chat-Handler-Offset") ?? "") ?? [];
  let position = Number(start);
  let reconnectedAt = -1;
  let reader = response.body!.getReader();

  async function read(): Promise<ReadableStreamReadResult<Uint8Array>> {
    for (;;) {
      try {
        return await reader.read();
      } catch (error) {
        // A connection that brought nothing is not worth another one.
        const rest =
          attempt === undefined || reconnectedAt === position
            ? undefined
            : await reconnect(`${attempt}_${String(position).padStart(16, "0")}`);
        if (!rest?.body) throw error;
        reconnectedAt = position;
        reader = rest.body.getReader();
      }
    }
  }

  return new ReadableStream(
    {
      async pull(controller) {
        try {
          const { done, value } = await read();
          if (!done) {
            position += value.length;
            controller.enqueue(value);
            return;
          }
          await onEnd();
          controller.close();
        } catch (error) {
          await onEnd(error);
          controller.error(error);
        }
      },
      cancel: (reason) => reader.cancel(reason),
    },
    { highWaterMark: 0 },
  );
}
