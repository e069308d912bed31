/** Many simultaneous appends, and the checks after them. */
import assert from "node:assert/strict";
import type { StoredMessage, ThreadKey, ThreadStore } from "../../../src/index.ts";

export const thread: ThreadKey = { owner: "ada", threadId: "load" };

/** In this thread, each worker answers one prompt repeatedly, and each partial answer replaces the one before. */
export const answers: ThreadKey = { owner: "ada", threadId: "answers" };

const batchSize = 3;

/** The messages of a batch. Some are larger than one page or packet. */
export function batchOf(name: string, characters = 20): StoredMessage[] {
  return Array.from({ length: batchSize }, (_, index) => ({
    id: `${name}/${index}`,
    promptId: `${name}/0`,
    message: { role: "user", content: "x".repeat(characters) },
    status: "complete",
    createdAt: 1,
  }));
}

function promptOf(worker: string): StoredMessage {
  return { id: worker, promptId: worker, message: { role: "user", content: "" }, status: "complete", createdAt: 1 };
}

function answerOf(name: string, worker: string, characters?: number): StoredMessage[] {
  return batchOf(name, characters).map((message) => ({ ...message, promptId: worker, status: "failed" }));
}

export interface Load {
  /** The number of confirmed batches. */
  acknowledged: string[];
  /** The number of rejected appends. */
  rejected: number;
  /** Stops after the running appends. */
  stop(): Promise<void>;
}

/** Appends batches and answers, several at a time. A rejected append is not retried, because it may have been stored. */
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
  async function work(index: number): Promise<void> {
    const worker = `${name}.${index}`;
    for (let count = 0; running; count++) {
      const batch = `${worker}.${count}`;
      const characters = count % 50 === 0 ? 20_000 : 20;
      try {
        await store.appendMessages(thread, batchOf(batch, characters));
        await store.appendMessages(answers, [promptOf(worker)]);
        await store.appendMessages(answers, answerOf(batch, worker, characters), { replacesAnswerTo: worker });
        load.acknowledged.push(batch);
        onAcknowledged?.(batch);
      } catch {
        load.rejected++;
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
    }
  }
  const working = Array.from({ length: workers }, (_, index) => work(index));
  return load;
}

/** Checks that every confirmed batch is stored, and that every stored batch is whole, in order and contiguous. */
export function expectWholeBatches(stored: readonly StoredMessage[], acknowledged: readonly string[]): void {
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

/** Checks the same for a whole load, and that each prompt has one answer: the last confirmed one, or a later one. */
export async function expectLoad(store: ThreadStore, acknowledged: readonly string[]): Promise<void> {
  expectWholeBatches(await store.listMessages(thread), acknowledged);

  const stored = await store.listMessages(answers);
  const count = (batch: string) => Number(batch.slice(batch.lastIndexOf(".") + 1));
  const last = new Map<string, number>();
  for (const batch of acknowledged) last.set(batch.slice(0, batch.lastIndexOf(".")), count(batch));
  expectWholeBatches(
    stored.filter(({ id, promptId }) => id !== promptId),
    [],
  );
  for (const [worker, least] of last) {
    const answer = stored.filter(({ id, promptId }) => promptId === worker && id !== worker);
    assert.equal(answer.length, batchSize);
    assert.ok(count(answer[0]!.id.split("/")[0]!) >= least);
  }
}
