/** How the processes of the benchmark without routes read what they carry. */
import { LogWrites } from "../../../src/lib/chat/log-writes.ts";
import type { TurnKey } from "../../../src/lib/core/coordinator.ts";
import type { EventLog } from "../../../src/lib/core/event-log.ts";

export const keyOf = (id: string): TurnKey => ({ owner: "bench", threadId: id, responseId: id });

/** Reads a stream. `onText` receives how many characters came, and returns whether to leave. */
export async function readStream(stream: ReadableStream, onText: (length: number) => boolean): Promise<void> {
  const reader = stream.getReader();
  for (let read = await reader.read(); !read.done; read = await reader.read()) {
    if (onText(read.value.length)) return reader.cancel();
  }
}

/** Reads a log as a response does. */
export async function readLog(log: EventLog, onText: (length: number) => boolean): Promise<void> {
  const writes = new LogWrites(log, (event) => (event.type === "text" ? event.text : ""), 0);
  for (;;) {
    writes.demand();
    const { done, value } = await writes.next();
    if (done || onText(value.length)) break;
  }
  writes.close();
}
