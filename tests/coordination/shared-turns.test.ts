/** Turns of many instances, step by step: what random schedules have found. */
import { setImmediate } from "node:timers/promises";
import { runInNewContext } from "node:vm";
import { setFlagsFromString } from "node:v8";
import { expect, it, onTestFinished, vi } from "vitest";
import type { Coordinator, CoordinatorHint } from "../../src/lib/core/coordinator.ts";
import { createGate } from "../support/model-scripts.ts";
import { failOnUnhandledErrors } from "../support/unhandled-errors.ts";
import { forgetAll, noCoordinatorData } from "../testkit/simple-coordinator.ts";
import { key, startFollowed, startRegistries, type TestTurn } from "./registries.ts";

failOnUnhandledErrors();

it("a stop reaches the attempt that waits on another instance behind one that is about to end", async () => {
  const [one, other] = startRegistries();
  const ending = await one.mustEnter();
  ending.ticket.refuseJoins();
  const waiting = await other.mustEnter();
  const stopped = one.registry.stop(key);
  await ending.end();
  await vi.waitFor(() => expect(waiting.reasons).toContain("turn_stopped"));
  await waiting.end();
  expect(await stopped).toBe("stopped");
});

it("the end of a log carries everything that was not copied before", async () => {
  const [one, other] = startRegistries();
  const turn = await one.mustEnter();
  await turn.ticket.waitForLease();
  const text = "0123456789".repeat(25_000);
  turn.log.append({ type: "text", text });
  await turn.end();
  const log = await other.registry.follow(key, turn.log.attempt);
  await log?.ended;
  expect(log?.end).toEqual({ type: "end", status: "complete" });
  expect(log?.textFrom(0).length).toBe(text.length);
});

it("a status from before an append does not take its text back", async () => {
  const [appended, answered] = [createGate(), createGate()];
  const calls = { appends: 0, checks: 0 };
  const [one, other] = startRegistries((coordinator) => ({
    ...coordinator,
    async append(...args) {
      calls.appends++;
      await appended.opened;
      return coordinator.append(...args);
    },
    async check(...args) {
      const status = await coordinator.check(...args);
      if (calls.appends === 0) return status;
      calls.checks++;
      await answered.opened;
      return status;
    },
  }));
  const { turn, log } = await startFollowed(one, other);
  turn.log.append({ type: "text", text: "One " });
  await vi.waitFor(() => expect(calls.checks).toBe(1));
  appended.open();
  await vi.waitFor(() => expect(log.length).toBe(4));
  turn.log.append({ type: "text", text: "two." });
  answered.open();
  await new Promise((resolve) => setTimeout(resolve, 50));
  await turn.end();
  await log.ended;
  expect(log.textFrom(0)).toBe("One two.");
});

it.each([
  "}{",
  "",
  "null",
  "5",
  "[]",
  '{"type":"newer"}',
  '{"type":"constructor"}',
  '{"type":"text"}',
  '{"type":"text","text":5}',
  '{"type":"step-start","text":5}',
  '{"type":"tool-result","id":"1"}',
  '{"type":"end"}',
  '{"type":"end","status":"stopped"}',
  '{"type":"end","status":"failed","error":5}',
  '{"type":"end","status":"failed","error":{"code":"id_conflict","message":{}}}',
  '{"type":"end","status":"complete","error":{"code":"id_conflict","message":"No."}}',
])("a log with the line %s breaks its followers, and nothing else", async (line) => {
  const data = noCoordinatorData();
  const [one, other] = startRegistries(undefined, data);
  const turn = await one.mustEnter();
  await turn.ticket.waitForLease();
  const log = await other.registry.follow(key);
  const [kept] = [...data.threads.values()][0]!.logs.get("r1")!;
  kept!.text = `${line}\n"More."\n{"type":"end","status":"complete"}\n`;
  await log?.ended;
  expect(log?.end).toMatchObject({ status: "failed", error: { code: "lease_lost" } });
  expect(log?.length).toBe(1);
  await turn.end();
});

it.each([false, true])("nobody joins a turn of the same instance while it is closed (followed: %s)", async (isFollowed) => {
  const gate = createGate();
  const [one, other] = startRegistries((coordinator) => ({
    ...coordinator,
    async close(...args) {
      // Before the entry arrives. Its reply comes later.
      const isClosed = await coordinator.close(...args);
      await gate.opened;
      return isClosed;
    },
  }));
  const turn = await one.mustEnter();
  await turn.ticket.waitForLease();
  const follower = isFollowed ? await other.registry.follow(key) : undefined;
  const closing = turn.ticket.refuseJoinsUnlessFollowed();
  const second = one.enter();
  gate.open();
  expect(await closing).toBe(!isFollowed);
  const entered = await second;
  expect(entered === "joined").toBe(isFollowed);
  await turn.end();
  if (entered !== "joined") await entered.end();
  await follower?.ended;
});

it.each(["failed", "unless followed failed", "was forgotten"])("an entry behind a turn whose close %s closes it again", async (how) => {
  const calls = { close: 0, enter: 0 };
  const data = noCoordinatorData();
  const change = (coordinator: Coordinator): Coordinator => ({
    ...coordinator,
    async close(...args) {
      if (calls.close++ === 0 && how !== "was forgotten") throw new Error("connect ECONNREFUSED");
      return coordinator.close(...args);
    },
    async enter(...args) {
      // An entry that does not wait would never let go of the process.
      await setImmediate();
      if (++calls.enter > 20) throw new Error("Entered again and again");
      return coordinator.enter(...args);
    },
  });
  const [one] = startRegistries(change, data);
  const stopped = await one.mustEnter();
  await stopped.ticket.waitForLease();
  if (how === "unless followed failed") await stopped.ticket.refuseJoinsUnlessFollowed();
  else stopped.ticket.refuseJoins();
  await setImmediate();
  if (how === "was forgotten") forgetAll(data);
  // Its next look gives the ticket back to a database that has forgotten it, as open.
  await vi.waitFor(() => expect([...data.threads.values()][0]?.queue).toHaveLength(1));
  const next = await one.mustEnter();
  expect(calls.close).toBe(2);
  expect(calls.enter).toBeLessThanOrEqual(4);
  await stopped.end();
  await next.ticket.waitForLease();
  await next.end();
});

it("nobody joins a turn that is stopped while it asks whether anyone follows it", async () => {
  const gate = createGate();
  const [one, other] = startRegistries((coordinator) => ({
    ...coordinator,
    async close(ticket, options) {
      const isClosed = await coordinator.close(ticket, options);
      if (options?.unlessFollowed) await gate.opened;
      return isClosed;
    },
  }));
  const { turn } = await startFollowed(one, other);
  const closing = turn.ticket.refuseJoinsUnlessFollowed();
  await new Promise((resolve) => setTimeout(resolve, 10));
  turn.ticket.refuseJoins();
  gate.open();
  expect(await closing).toBe(true);
  const again = await one.mustEnter();
  await turn.end();
  await again.end();
});

it("leases are renewed and logs followed in time, however rarely the coordinator is polled", async () => {
  const calls = { renew: 0, read: 0 };
  const countCalls = (coordinator: Coordinator): Coordinator => ({
    ...coordinator,
    renew(ticket) {
      calls.renew++;
      return coordinator.renew(ticket);
    },
    read(...args) {
      calls.read++;
      return coordinator.read(...args);
    },
  });
  const rarely = { leaseMs: 600, ticketPollMs: 60_000, logPollMs: 60_000 };
  const { turn } = await startFollowed(...startRegistries(countCalls, noCoordinatorData(), rarely));
  const before = { ...calls };
  await vi.waitFor(() => expect(calls.renew).toBeGreaterThan(before.renew + 1), { timeout: 4000 });
  await vi.waitFor(() => expect(calls.read).toBeGreaterThan(before.read + 1), { timeout: 4000 });
  await turn.end();
});

it("the methods of a coordinator may use `this`", async () => {
  const { turn, log } = await startFollowed(
    ...startRegistries((coordinator) => ({
      ...coordinator,
      subscribe(...args) {
        if (this.settings !== coordinator.settings) throw new Error("Called without its object");
        return coordinator.subscribe!(...args);
      },
    })),
  );
  await turn.end();
  await log.ended;
  expect(log.end).toEqual({ type: "end", status: "complete" });
});

it("text that the database did not accept yet is sent again, and is no failure", async () => {
  let appends = 0;
  const [one, other] = startRegistries((coordinator) => ({
    ...coordinator,
    async append(ticket, ...rest) {
      // As for a turn that went on alone during an outage, while another one is still ahead.
      if (++appends <= 2) return { ...(await coordinator.check(ticket)), state: "waiting" };
      return coordinator.append(ticket, ...rest);
    },
  }));
  const { turn, log } = await startFollowed(one, other);
  const report = vi.spyOn(turn, "report");
  for (const text of ["One ", "two ", "three."]) {
    const before = appends;
    turn.log.append({ type: "text", text });
    await vi.waitFor(() => expect(appends).toBeGreaterThan(before));
  }
  await vi.waitFor(() => expect(log.length).toBe(turn.log.length));
  expect(report).not.toHaveBeenCalled();
  await turn.end();
  await log.ended;
  expect(log.textFrom(0)).toBe("One two three.");
});

/** Counts how often logs are read. */
function countReads() {
  const counter = {
    reads: 0,
    change: (coordinator: Coordinator): Coordinator => ({
      ...coordinator,
      read(...args) {
        counter.reads++;
        return coordinator.read(...args);
      },
    }),
  };
  return counter;
}

it("many stops of a turn that does not end look at it a few times, and keep it from nothing", async () => {
  vi.useFakeTimers();
  const counter = countReads();
  const [one, other] = startRegistries(counter.change);
  const turn = await one.mustEnter();
  const stopped = Array.from({ length: 10 }, () => other.registry.stop(key));
  await vi.advanceTimersByTimeAsync(3000);
  const { hasReaders } = turn.log;
  const isClosed = await turn.ticket.refuseJoinsUnlessFollowed();
  await vi.advanceTimersByTimeAsync(3000);
  vi.useRealTimers();
  expect([hasReaders, isClosed]).toEqual([false, true]);
  expect(new Set(await Promise.all(stopped))).toEqual(new Set(["requested"]));
  expect(counter.reads).toBeLessThan(10 * 15);
  await turn.end();
});

it("a resume that waits for a turn that is about to end does not follow it", async () => {
  const data = noCoordinatorData();
  const counter = countReads();
  const [one, other] = startRegistries(counter.change, data);
  const turn = await one.mustEnter();
  await turn.ticket.waitForLease();
  turn.ticket.refuseJoins();
  await setImmediate();
  const resumed = other.registry.follow(key);
  const { followers } = [...data.threads.values()][0]!.queue[0]!;
  await vi.waitFor(() => expect([counter.reads > 1, followers.size]).toEqual([true, 0]));
  await turn.end();
  expect(await resumed).toBe(undefined);
});

it("in place of an attempt that has ended, the one that runs now is found, and not followed", async () => {
  const data = noCoordinatorData();
  const [one, other] = startRegistries(undefined, data);
  const { attempt } = (await endedTurn(one)).log;
  expect((await other.registry.follow(key, attempt))?.attempt).toBe(attempt);
  const again = await one.mustEnter();
  expect((await other.registry.follow(key, attempt))?.attempt).toBe(again.log.attempt);
  expect([...data.threads.values()][0]!.queue[0]!.followers.size).toBe(0);
  await again.end();
});

async function endedTurn(instance: ReturnType<typeof startRegistries>[0]): Promise<TestTurn> {
  const turn = await instance.mustEnter();
  await turn.ticket.waitForLease();
  turn.log.append({ type: "text", text: "One." });
  await turn.end();
  return turn;
}

it("the copy of a log sets no timers while there is no text", async () => {
  const { turn } = await startFollowed(...startRegistries());
  const timers = vi.spyOn(globalThis, "setTimeout");
  onTestFinished(() => timers.mockRestore());
  turn.log.append({ type: "step-start" });
  await new Promise((resolve) => setTimeout(resolve, 200));
  // Both instances poll each 20 ms, and each call has a timeout.
  expect(timers.mock.calls.length).toBeLessThan(100);
  await turn.end();
});

it("a turn that nobody follows any more finds out, whatever a hint said", async () => {
  const listeners: ((hint: CoordinatorHint) => void)[] = [];
  const appended: string[] = [];
  const [one] = startRegistries((coordinator) => ({
    ...coordinator,
    subscribe: (_thread, type, listener) => {
      if (type === "thread") listeners.push(listener);
      return () => {};
    },
    append: (ticket, position, data) => {
      appended.push(data);
      return coordinator.append(ticket, position, data);
    },
  }));
  const turn = await one.mustEnter();
  await turn.ticket.waitForLease();
  turn.log.append({ type: "text", text: "One " });
  for (const listener of listeners) listener({ type: "thread", followed: "another attempt" });
  await new Promise((resolve) => setTimeout(resolve, 50));
  expect(appended).toEqual([]);
  for (const listener of listeners) listener({ type: "thread", followed: turn.log.attempt });
  await vi.waitFor(() => expect(appended).toHaveLength(1));
  await vi.waitFor(() => expect(turn.log.hasReaders).toBe(false));
  turn.log.append({ type: "text", text: "two." });
  await new Promise((resolve) => setTimeout(resolve, 50));
  expect(appended).toHaveLength(1);
  await turn.end();
});

it("a queue that never empties keeps none of the turns that have left", async () => {
  setFlagsFromString("--expose-gc");
  const collectGarbage = runInNewContext("gc") as () => void;
  const [one] = startRegistries();
  const left: WeakRef<TestTurn>[] = [];
  let running = await one.mustEnter();
  for (let round = 2; round < 6; round++) {
    const next = await one.mustEnter(`r${round}`);
    await running.end();
    await next.ticket.waitForLease();
    left.push(new WeakRef(running));
    running = next;
  }
  await vi.waitFor(() => {
    collectGarbage();
    expect(left.filter((turn) => turn.deref()).length).toBeLessThanOrEqual(1);
  });
  await running.end();
});
