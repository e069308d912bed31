/** Registries of several instances over one database in memory, for turns that do nothing by themselves. */
import { expect, vi } from "vitest";
import { type Coordinator, shareTurns } from "../../src/coordinator.ts";
import type { EntryPolicy, TurnKey } from "../../src/lib/core/coordinator.ts";
import { EventLog } from "../../src/lib/core/event-log.ts";
import type { LocalTurn, QueueTicket } from "../../src/lib/core/turn-registry.ts";
import {
  type CoordinatorData,
  createSimpleCoordinator,
  noCoordinatorData,
  type SimpleCoordinatorOptions,
} from "../testkit/simple-coordinator.ts";

const queue: EntryPolicy = { concurrency: "queue", maxQueued: 10 };
export const key: TurnKey = { owner: "ada", threadId: "t", responseId: "r1" };
const prompt = { id: "p1", role: "user" as const, content: "Hi" };

/** A turn that only notes why it was aborted. */
export class TestTurn implements LocalTurn {
  readonly log = new EventLog({ onAbandoned() {} });
  readonly reasons: string[] = [];
  ticket!: QueueTicket;
  abort({ code }: { code: string }): void {
    this.reasons.push(code);
  }
  report(): void {}
  /** Ends the turn, and leaves. */
  async end(): Promise<void> {
    this.log.append({ type: "end", status: "complete" });
    await this.ticket.leave();
  }
}

export function startRegistries(
  change: (coordinator: Coordinator) => Coordinator = (same) => same,
  data: CoordinatorData = noCoordinatorData(),
  options: SimpleCoordinatorOptions = {},
) {
  const start = () => {
    const { registry } = shareTurns(change(createSimpleCoordinator(data, options)));
    return {
      registry,
      async enter(responseId = key.responseId): Promise<TestTurn | "joined"> {
        const turn = new TestTurn();
        const entrance = await registry.enter({ ...key, responseId, prompt: { ...prompt, id: `prompt of ${responseId}` } }, queue, turn);
        if (entrance.kind === "joined") return "joined";
        if (entrance.kind !== "entered") throw new Error(`Not entered: ${entrance.kind}`);
        turn.ticket = entrance.ticket;
        return turn;
      },
      async mustEnter(responseId?: string): Promise<TestTurn> {
        const turn = await this.enter(responseId);
        if (turn === "joined") throw new Error("Joined");
        return turn;
      },
    };
  };
  return [start(), start()] as const;
}

/** Starts a turn that is followed from another instance. */
export async function startFollowed(...[one, other]: ReturnType<typeof startRegistries>) {
  const turn = await one.mustEnter();
  await turn.ticket.waitForLease();
  const log = await other.registry.follow(key);
  if (!log) throw new Error("Not followed");
  await vi.waitFor(() => expect(turn.log.hasReaders).toBe(true));
  return { turn, log };
}
