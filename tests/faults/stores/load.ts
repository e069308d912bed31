/** Many appends at once, and what must be true of them afterwards. */
import assert from "node:assert/strict";
import type { StoredMessage, ThreadKey, ThreadStore } from "../../../src/index.ts";

export const thread: ThreadKey = { owner: "ada", threadId: "load" };

const batchSize = 3;

/** The messages of a batch; `x`s make them larger than one page or packet now and then. */
export function batchOf(name: string, characters = 20): StoredMessage[] {
  return Array.from({ length: batchSize }, (_, index) => ({
    id: `${name}/${index}`,
    promptId: `${name}/0`,
    message: { role: "user", content: "x".repeat(characters) },
    status: "complete",
    createdAt: 1,
  }));
}

export interface Load {
  /** How many batches were acknowledged so far. */
  acknowledged: string[];
  /** How many appends were rejected. */
  rejected: number;
  /** Ends it when the appends under way are settled. */
  stop(): Promise<void>;
}

/** Appends batch after batch, so many at a time. A rejected one is given up: nobody knows whether it was stored. */
export function startLoad(store: ThreadStore, name: string, workers: number, onAcknowledged?: (batch: string) => void): Load {
  let running = true;
  const load: Load = {
    acknowledged: [],
    rejected: 0,
    async stop() {
      running = false;
      await Promise.all(working);
    },
  };
  async function work(worker: number): Promise<void> {
    for (let count = 0; running; count++) {
      const batch = `${name}.${worker}.${count}`;
      try {
        await store.appendMessages(thread, batchOf(batch, count % 50 === 0 ? 20_000 : 20));
        load.acknowledged.push(batch);
        onAcknowledged?.(batch);
      } catch {
        load.rejected++;
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
    }
  }
  const working = Array.from({ length: workers }, (_, worker) => work(worker));
  return load;
}

/** Every acknowledged batch is there, and every batch that is there is whole, in order and contiguous. */
export function expectWhole(stored: readonly StoredMessage[], acknowledged: readonly string[]): void {
  const batches: string[] = [];
  for (let index = 0; index < stored.length; index += batchSize) {
    const ids = stored.slice(index, index + batchSize).map(({ id }) => id);
    const name = ids[0]!.slice(0, ids[0]!.lastIndexOf("/"));
    assert.deepEqual(
      ids,
      batchOf(name).map(({ id }) => id),
    );
    batches.push(name);
  }
  const found = new Set(batches);
  assert.equal(batches.length, found.size);
  assert.deepEqual(
    acknowledged.filter((name) => !found.has(name)),
    [],
  );
}
