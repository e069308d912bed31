/** The order of turns in one process. */
import { describe, expect, it, vi } from "vitest";
import { createMemoryStore } from "../../src/index.ts";
import { createLocalRegistry, localRegistryOf } from "../../src/lib/coordination/local.ts";
import type { EntryPolicy } from "../../src/lib/core/coordinator.ts";
import type { Entrance, Ticket, TurnEntry, TurnRegistry } from "../../src/lib/core/turn-registry.ts";
import { EventLog } from "../../src/lib/core/event-log.ts";

const queue: EntryPolicy = { concurrency: "queue", maxQueued: 32 };
const reject: EntryPolicy = { concurrency: "reject", maxQueued: 32 };

const entry = (n: number, change: Partial<TurnEntry> = {}): TurnEntry => ({
  owner: "",
  threadId: "t",
  responseId: `r${n}`,
  prompt: { id: `p${n}`, role: "user", content: `Prompt ${n}` },
  ...change,
});

const createLocal = () => ({ log: new EventLog({ onAbandoned() {} }), stop: vi.fn<() => void>() });

async function enter(registry: TurnRegistry, turn: TurnEntry, policy = queue, local = createLocal()): Promise<Entrance> {
  return registry.enter(turn, policy, local);
}

async function ticketOf(registry: TurnRegistry, turn: TurnEntry, policy = queue, local = createLocal()): Promise<Ticket> {
  const entrance = await registry.enter(turn, policy, local);
  if (entrance.kind !== "entered") throw new Error(`It is ${entrance.kind}.`);
  return entrance.ticket;
}

/** Waits for the lease, and releases it. */
async function leave(ticket: Ticket | undefined): Promise<void> {
  await ticket?.waitForLease();
  ticket?.leave();
}

/** Whether a promise has settled by now. */
async function isSettled(promise: Promise<unknown>): Promise<boolean> {
  let hasSettled = false;
  void promise.then(() => (hasSettled = true));
  await new Promise((resolve) => setImmediate(resolve));
  return hasSettled;
}

describe("a queue", () => {
  it("grants one turn at a time, in the order in which they entered", async () => {
    const registry = createLocalRegistry();
    const tickets = await Promise.all([1, 2, 3].map((n) => ticketOf(registry, entry(n))));
    expect(tickets.map(({ ahead }) => ahead)).toEqual([0, 1, 2]);
    await tickets[0]!.waitForLease();
    expect(await isSettled(tickets[1]!.waitForLease())).toBe(false);
    tickets[0]!.leave();
    await tickets[1]!.waitForLease();
    expect(await isSettled(tickets[2]!.waitForLease())).toBe(false);
    tickets[1]!.leave();
    await leave(tickets[2]);
    expect((await ticketOf(registry, entry(4))).ahead).toBe(0);
  });

  it("is one for each thread of each owner", async () => {
    const registry = createLocalRegistry();
    const others = [entry(1), entry(1, { threadId: "u" }), entry(1, { owner: "ada" }), entry(1, { owner: "t", threadId: "" })];
    const tickets = await Promise.all(others.map((other) => ticketOf(registry, other)));
    expect(tickets.map(({ ahead }) => ahead)).toEqual([0, 0, 0, 0]);
  });

  it("continues after a turn that leaves the queue", async () => {
    const registry = createLocalRegistry();
    const [first, second, third] = await Promise.all([1, 2, 3].map((n) => ticketOf(registry, entry(n))));
    second!.leave();
    expect(await isSettled(third!.waitForLease())).toBe(false);
    await leave(first);
    await leave(third);
    expect((await ticketOf(registry, entry(4))).ahead).toBe(0);
  });

  it("bounds the number of waiting turns", async () => {
    const registry = createLocalRegistry();
    const policy = { ...queue, maxQueued: 2 };
    for (const n of [1, 2, 3]) await ticketOf(registry, entry(n), policy);
    expect(await enter(registry, entry(4), policy)).toEqual({ kind: "busy" });
    // Joining is not waiting.
    expect(await enter(registry, entry(3), policy)).toEqual({ kind: "joined" });
  });

  it('rejects waiting turns with "reject", except after turns that are about to end', async () => {
    const registry = createLocalRegistry();
    const first = await ticketOf(registry, entry(1), reject);
    expect(await enter(registry, entry(2), reject)).toEqual({ kind: "busy" });
    first.refuseJoins();
    expect((await ticketOf(registry, entry(2), reject)).ahead).toBe(1);
    expect(await enter(registry, entry(3), reject)).toEqual({ kind: "busy" });
  });

  it("reports whether a turn that was ahead stored its prompt meanwhile", async () => {
    const registry = createLocalRegistry();
    const tickets = await Promise.all([1, 2, 3].map((n) => ticketOf(registry, entry(n))));
    const first = await tickets[0]!.waitForLease();
    expect(first.hasPredecessorStarted).toBe(false);
    first.markStarted();
    tickets[0]!.leave();
    const second = await tickets[1]!.waitForLease();
    expect(second.hasPredecessorStarted).toBe(true);
    tickets[1]!.leave();
    expect((await tickets[2]!.waitForLease()).hasPredecessorStarted).toBe(true);
  });

  it("ignores prompts that were stored before the turn entered, or never", async () => {
    const registry = createLocalRegistry();
    const first = await ticketOf(registry, entry(1));
    (await first.waitForLease()).markStarted();
    const second = await ticketOf(registry, entry(2));
    const third = await ticketOf(registry, entry(3));
    first.leave();
    const lease = await second.waitForLease();
    expect(lease.hasPredecessorStarted).toBe(false);
    second.leave();
    expect((await third.waitForLease()).hasPredecessorStarted).toBe(false);
  });
});

describe("the same response id", () => {
  it("joins the turn that waits or runs, and follows its log", async () => {
    const registry = createLocalRegistry();
    const [running, waiting] = [createLocal(), createLocal()];
    const ticket = await ticketOf(registry, entry(1), queue, running);
    await ticketOf(registry, entry(2), queue, waiting);
    for (const policy of [queue, reject]) {
      expect(await enter(registry, entry(1), policy)).toEqual({ kind: "joined" });
      expect(await enter(registry, entry(2), policy)).toEqual({ kind: "joined" });
    }
    expect(await registry.follow(entry(1))).toBe(running.log);
    expect(await registry.follow(entry(2))).toBe(waiting.log);
    await leave(ticket);
    expect(await registry.follow(entry(1))).toBeUndefined();
  });

  it("conflicts if it comes with another prompt id or another prompt", async () => {
    const registry = createLocalRegistry();
    await ticketOf(registry, entry(1));
    const { prompt } = entry(1);
    for (const changed of [
      { ...prompt, id: "p9" },
      { ...prompt, content: "Other" },
    ]) {
      expect(await enter(registry, entry(1, { prompt: changed }))).toEqual({ kind: "conflict" });
    }
    expect((await enter(registry, entry(1, { threadId: "u", prompt: { ...prompt, content: "Other" } }))).kind).toBe("entered");
  });

  it("enters again after a turn that refuses joins", async () => {
    const registry = createLocalRegistry();
    const first = await ticketOf(registry, entry(1));
    first.refuseJoins();
    expect(await registry.follow(entry(1))).toBeUndefined();
    const local = createLocal();
    const again = await ticketOf(registry, entry(1), queue, local);
    expect(again.ahead).toBe(1);
    expect(await registry.follow(entry(1))).toBe(local.log);
    await leave(first);
    await again.waitForLease();
  });
});

describe("a stop", () => {
  it("stops the turn with this key, and resolves when the turn has ended", async () => {
    const registry = createLocalRegistry();
    const [local, other] = [createLocal(), createLocal()];
    const ticket = await ticketOf(registry, entry(1), queue, local);
    await ticketOf(registry, entry(2), queue, other);
    const stopped = registry.stop(entry(1));
    expect(await isSettled(stopped)).toBe(false);
    expect([local.stop.mock.calls.length, other.stop.mock.calls.length]).toEqual([1, 0]);
    // It joins nobody any more, and is not stopped twice.
    expect(await registry.follow(entry(1))).toBeUndefined();
    expect(await registry.stop(entry(1))).toBe("none");
    await leave(ticket);
    expect(await stopped).toBe("stopped");
  });

  it("finds no turn that never entered", async () => {
    expect(await createLocalRegistry().stop(entry(1))).toBe("none");
  });
});

it("handlers on one store object share a registry, and those on two do not", () => {
  const [one, other] = [createMemoryStore(), createMemoryStore()];
  expect(localRegistryOf(one)).toBe(localRegistryOf(one));
  expect(localRegistryOf(one)).not.toBe(localRegistryOf(other));
});
