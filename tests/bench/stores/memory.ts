/** The memory store, compared with a map of arrays. */
import { createMemoryStore, type StoredMessage } from "../../../src/index.ts";
import type { Bare, Subject } from "./subject.ts";

const boundless = 2 ** 31 - 1;

/** Opens the memory store. It has no client, so no calls are counted. */
export async function openMemory(): Promise<Subject> {
  const store = createMemoryStore({ maxThreads: boundless, maxCharacters: boundless });
  return { store, bare: bareMemory(), counted: { store, calls: () => 0 }, versions: [], close() {} };
}

function bareMemory(): Bare {
  const threads = new Map<string, { ids: Set<string>; answered: Set<string>; bodies: string[]; updatedAt: number }>();
  function append(key: string, message: StoredMessage): void {
    let thread = threads.get(key);
    if (!thread) threads.set(key, (thread = { ids: new Set(), answered: new Set(), bodies: [], updatedAt: 0 }));
    if (thread.ids.has(message.id)) return;
    thread.ids.add(message.id);
    thread.bodies.push(JSON.stringify(message));
    thread.updatedAt = Date.now();
  }
  return {
    append,
    appendAnswer(key, message) {
      const thread = threads.get(key);
      if (!thread?.ids.has(message.promptId) || thread.answered.has(message.promptId)) return;
      thread.answered.add(message.promptId);
      append(key, message);
    },
    readLast: (key, count) => (threads.get(key)?.bodies ?? []).slice(-count).map((body): StoredMessage => JSON.parse(body)),
  };
}
