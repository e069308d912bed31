/** The order of turns in one process. */
import { describe, expect, it, onTestFinished, vi } from "vitest";
import { createMemoryStore } from "../../src/index.ts";
import { LocalRegistry, localRegistryOf } from "../../src/lib/coordination/local.ts";
import type { QueuedTurn } from "../../src/lib/coordination/queued-turn.ts";
import type { EntryPolicy } from "../../src/lib/core/coordinator.ts";
import type { Entrance, TurnEntry, TurnRegistry } from "../../src/lib/core/turn-registry.ts";
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

const createLocal = () => ({ log: new EventLog({ onAbandoned() {} }), abort: vi.fn<() => void>(), report() {} });

async function enter(registry: TurnRegistry, turn: TurnEntry, policy = queue, local = createLocal()): Promise<Entrance> {
  return registry.enter(turn, policy, local);
}

async function ticketOf(registry: TurnRegistry, turn: TurnEntry, policy = queue, local = createLocal()): Promise<QueuedTurn> {
  const entrance = await registry.enter(turn, policy, local);
  if (entrance.kind !== "entered") throw new Error(`It is ${entrance.kind}.`);
  return entrance.ticket as QueuedTurn;
}

/** Waits for the lease, and releases it. */
async function leave(ticket: QueuedTurn | undefined): Promise<void> {
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
    const registry = new LocalRegistry();
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
    const registry = new LocalRegistry();
    const others = [entry(1), entry(1, { threadId: "u" }), entry(1, { owner: "ada" }), entry(1, { owner: "t", threadId: "" })];
    const tickets = await Promise.all(others.map((other) => ticketOf(registry, other)));
    expect(tickets.map(({ ahead }) => ahead)).toEqual([0, 0, 0, 0]);
  });

  it('stops all turns ahead with "interrupt", and waits for their end', async () => {
    const registry = new LocalRegistry();
    const [first, second, third] = [createLocal(), createLocal(), createLocal()];
    const tickets = [await ticketOf(registry, entry(1), queue, first), await ticketOf(registry, entry(2), queue, second)];
    const last = await ticketOf(registry, entry(3), { ...queue, concurrency: "interrupt" }, third);
    expect([first, second, third].map(({ abort }) => abort.mock.calls.length)).toEqual([1, 1, 0]);
    expect(await isSettled(last.waitForLease())).toBe(false);
    for (const ticket of tickets) await leave(ticket);
    await leave(last);
  });

  it("continues after a turn that leaves the queue", async () => {
    const registry = new LocalRegistry();
    const [first, second, third] = await Promise.all([1, 2, 3].map((n) => ticketOf(registry, entry(n))));
    second!.leave();
    expect(await isSettled(third!.waitForLease())).toBe(false);
    await leave(first);
    await leave(third);
    expect((await ticketOf(registry, entry(4))).ahead).toBe(0);
  });

  it("bounds the number of waiting turns", async () => {
    const registry = new LocalRegistry();
    const policy = { ...queue, maxQueued: 2 };
    for (const n of [1, 2, 3]) await ticketOf(registry, entry(n), policy);
    expect(await enter(registry, entry(4), policy)).toEqual({ kind: "busy" });
    // Joining is not waiting.
    expect(await enter(registry, entry(3), policy)).toMatchObject({ kind: "joined" });
  });

  it('rejects waiting turns with "reject", except after turns that are about to end', async () => {
    const registry = new LocalRegistry();
    const first = await ticketOf(registry, entry(1), reject);
    expect(await enter(registry, entry(2), reject)).toEqual({ kind: "busy" });
    first.refuseJoins();
    expect((await ticketOf(registry, entry(2), reject)).ahead).toBe(1);
    expect(await enter(registry, entry(3), reject)).toEqual({ kind: "busy" });
  });

  it("reports whether a turn that was ahead stored its prompt meanwhile", async () => {
    const registry = new LocalRegistry();
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
    const registry = new LocalRegistry();
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
    const registry = new LocalRegistry();
    const [running, waiting] = [createLocal(), createLocal()];
    const ticket = await ticketOf(registry, entry(1), queue, running);
    await ticketOf(registry, entry(2), queue, waiting);
    for (const policy of [queue, reject]) {
      expect(await enter(registry, entry(1), policy)).toEqual({ kind: "joined", log: running.log });
      expect(await enter(registry, entry(2), policy)).toEqual({ kind: "joined", log: waiting.log });
    }
    expect(await registry.follow(entry(1))).toBe(running.log);
    expect(await registry.follow(entry(2))).toBe(waiting.log);
    await leave(ticket);
    expect(await registry.follow(entry(1))).toBeUndefined();
  });

  it("conflicts if it comes with another prompt id or another prompt", async () => {
    const registry = new LocalRegistry();
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
    const registry = new LocalRegistry();
    const first = await ticketOf(registry, entry(1));
    first.refuseJoins();
    // Nobody follows it: its answer may be stored by its end.
    const followed = registry.follow(entry(1));
    expect(await isSettled(followed)).toBe(false);
    const local = createLocal();
    const again = await ticketOf(registry, entry(1), queue, local);
    expect(again.ahead).toBe(1);
    expect(await registry.follow(entry(1))).toBe(local.log);
    await leave(first);
    expect(await followed).toBeUndefined();
    await again.waitForLease();
  });
});

describe("a stop", () => {
  it("stops the turn with this key, and resolves when the turn has ended", async () => {
    const registry = new LocalRegistry();
    const [local, other] = [createLocal(), createLocal()];
    const ticket = await ticketOf(registry, entry(1), queue, local);
    await ticketOf(registry, entry(2), queue, other);
    const stopped = registry.stop(entry(1));
    expect(await isSettled(stopped)).toBe(false);
    expect([local.abort.mock.calls.length, other.abort.mock.calls.length]).toEqual([1, 0]);
    // It joins nobody any more. The same stop again waits for the same end.
    const [followed, again] = [registry.follow(entry(1)), registry.stop(entry(1))];
    await leave(ticket);
    expect([await followed, await stopped, await again]).toEqual([undefined, "stopped", "stopped"]);
    expect(await registry.stop(entry(1))).toBe("none");
  });

  it("finds no turn that never entered", async () => {
    expect(await new LocalRegistry().stop(entry(1))).toBe("none");
  });

  it("that comes before its turn stops it when it enters, once", async () => {
    const registry = new LocalRegistry();
    await registry.stopLater(entry(1));
    await registry.stopLater(entry(1));
    const [local, other, again] = [createLocal(), createLocal(), createLocal()];
    const ticket = await ticketOf(registry, entry(1), queue, local);
    expect(local.abort).toHaveBeenCalledOnce();
    await ticketOf(registry, entry(1, { owner: "ada" }), queue, other);
    expect(other.abort).not.toHaveBeenCalled();
    await leave(ticket);
    // Sent again after its turn has ended, it does not stop the next attempt.
    await registry.stopLater(entry(1));
    await ticketOf(registry, entry(1), queue, again);
    expect(again.abort).not.toHaveBeenCalled();
  });

  it("that stopped a turn does not stop its next attempt when it is sent again", async () => {
    const registry = new LocalRegistry();
    const ticket = await ticketOf(registry, entry(1));
    const stopped = registry.stop(entry(1));
    await leave(ticket);
    await stopped;
    expect(await registry.stop(entry(1))).toBe("none");
    await registry.stopLater(entry(1));
    const local = createLocal();
    await ticketOf(registry, entry(1), queue, local);
    expect(local.abort).not.toHaveBeenCalled();
  });

  it("is forgotten after two minutes, and one owner keeps at most a thousand", async () => {
    vi.useFakeTimers();
    onTestFinished(() => void vi.useRealTimers());
    const registry = new LocalRegistry();
    const abortsOf = async (turn: TurnEntry) => {
      const local = createLocal();
      await ticketOf(registry, turn, queue, local);
      return local.abort.mock.calls.length;
    };
    await registry.stopLater(entry(1));
    await registry.stopLater(entry(2, { owner: "ada" }));
    await registry.stopLater(entry(3, { owner: "bob" }));
    for (let n = 0; n < 1000; n++) await registry.stopLater(entry(1000 + n));
    expect([await abortsOf(entry(1)), await abortsOf(entry(1000)), await abortsOf(entry(2, { owner: "ada" }))]).toEqual([0, 1, 1]);
    vi.advanceTimersByTime(100_000);
    await registry.stopLater(entry(4, { owner: "bob" }));
    vi.advanceTimersByTime(20_000);
    expect([await abortsOf(entry(1001)), await abortsOf(entry(3, { owner: "bob" })), await abortsOf(entry(4, { owner: "bob" }))]).toEqual([
      0, 0, 1,
    ]);
  });

  it("costs a turn nothing that many other owners have stopped", async () => {
    const registry = new LocalRegistry();
    const startedAt = performance.now();
    for (let n = 0; n < 50_000; n++) await registry.stopLater(entry(1, { owner: `owner ${n}` }));
    // Half a minute if each looks at all owners.
    expect(performance.now() - startedAt).toBeLessThan(5000);
  });
});

it("a follower of a turn that is about to end waits five seconds for it: it may be far back in the queue", async () => {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
  onTestFinished(() => void vi.useRealTimers());
  const registry = new LocalRegistry();
  await ticketOf(registry, entry(1));
  const waiting = await ticketOf(registry, entry(2));
  waiting.refuseJoins();
  const followed = registry.follow(entry(2));
  await vi.advanceTimersByTimeAsync(4900);
  expect(await isSettled(followed)).toBe(false);
  await vi.advanceTimersByTimeAsync(200);
  expect(await isSettled(followed)).toBe(true);
  expect(await followed).toBeUndefined();
});

it("handlers on one store object share a registry, and those on two do not", () => {
  const [one, other] = [createMemoryStore(), createMemoryStore()];
  expect(localRegistryOf(one)).toBe(localRegistryOf(one));
  expect(localRegistryOf(one)).not.toBe(localRegistryOf(other));
});
