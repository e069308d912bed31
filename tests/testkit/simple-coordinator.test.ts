/** The coordinator in memory that the kit, the simulation and the tests of turns rely on. */
import { expect, test } from "vitest";
import type { Ticket, TicketRequest } from "../../src/lib/core/coordinator.ts";
import { createSimpleCoordinator, forgetAll, noCoordinatorData } from "./simple-coordinator.ts";

const queue = { concurrency: "queue", maxQueued: 10 } as const;
const nobody = { follower: "nobody" };

function turn(responseId: string, attempt = `attempt of ${responseId}`): TicketRequest {
  return { owner: "", threadId: "thread", responseId, promptId: `prompt of ${responseId}`, promptDigest: "digest", attempt };
}

function setUp() {
  let time = 1_000;
  const data = noCoordinatorData();
  const open = () => createSimpleCoordinator(data, { now: () => time, leaseMs: 100, retentionMs: 1_000 });
  const one = open();
  async function enter(responseId: string, attempt?: string): Promise<Ticket> {
    const entrance = await one.enter(turn(responseId, attempt), queue, nobody);
    if (entrance.kind !== "entered") throw new Error(`It is ${entrance.kind}`);
    return entrance.ticket;
  }
  return { data, one, other: open(), enter, wait: (ms: number) => (time += ms) };
}

test("grants in order, at the end of the turn ahead", async () => {
  const { one, other, enter } = setUp();
  const [a, b] = [await enter("a"), await enter("b")];
  expect(await other.check(a)).toMatchObject({ state: "granted" });
  expect(await other.check(b)).toMatchObject({ state: "waiting" });
  await one.append(a, 0, "text");
  expect(await other.end(a, 2, "xt and end")).toBe(true);
  expect(await one.check(a)).toMatchObject({ state: "lost" });
  expect(await one.check(b)).toMatchObject({ state: "granted" });
  expect(await one.read(a, undefined, 5, nobody)).toEqual({ attempt: a.attempt, data: "and end", length: 12, state: "ended" });
});

test("an expired ticket lives on until it is overtaken", async () => {
  const { one, other, enter, wait } = setUp();
  const a = await enter("a");
  wait(150);
  expect(await one.read(a, undefined, 0, nobody)).toMatchObject({ state: "lost" });
  expect(await one.renew(a)).toMatchObject({ state: "granted" });
  const b = await enter("b");
  wait(60);
  await one.renew(b);
  wait(60);
  expect(await other.check(b)).toMatchObject({ state: "granted" });
  expect(await one.renew(a)).toMatchObject({ state: "lost" });
  await expect(one.append(a, 0, "late")).resolves.toMatchObject({ state: "lost", logLength: 0 });
});

test("stops, closes and keeps for as long as it says", async () => {
  const { one, other, enter, wait } = setUp();
  expect(await other.stop(turn("a"))).toBe("recorded");
  const a = await enter("a");
  expect(await one.check(a)).toMatchObject({ isStopRequested: true });
  expect(await other.enter(turn("a", "joins"), queue, { follower: "f" })).toEqual({ kind: "joined", attempt: a.attempt });
  expect(await one.close(a, { unlessFollowed: true })).toBe(false);
  await other.unfollow(a, { follower: "f" });
  expect(await one.close(a, { unlessFollowed: true })).toBe(true);
  const again = await enter("a", "second");
  expect(await one.check(again)).toMatchObject({ state: "waiting", isStopRequested: false });
  await one.end(a, 0, "end");
  expect(await one.end(again, 0, "")).toBe(true);
  expect(await one.stop(turn("a"))).toBe("ended");
  expect(await one.read(a, a.attempt, 0, nobody)).toMatchObject({ data: "end", state: "ended" });
  wait(1_000);
  expect(await one.read(a, a.attempt, 0, nobody)).toBeUndefined();
});

test("accepts tickets at their old places after it has forgotten everything", async () => {
  const { data, one, enter, wait } = setUp();
  const [a, b] = [await enter("a"), await enter("b")];
  forgetAll(data);
  wait(1);
  const c = await enter("c");
  expect(await one.renew(b)).toMatchObject({ state: "granted" });
  expect(await one.renew(a)).toMatchObject({ state: "granted" });
  expect(await one.check(b)).toMatchObject({ state: "waiting" });
  expect(await one.check(c)).toMatchObject({ state: "waiting" });
});

test("hints to the listeners of the thread until they end", async () => {
  const { one, other, enter } = setUp();
  const hints: unknown[] = [];
  const end = other.subscribe!(turn("a"), "log", (hint) => hints.push(hint));
  const a = await enter("a");
  await one.append(a, 0, "text");
  await new Promise((resolve) => setTimeout(resolve));
  expect(hints).toEqual([{ type: "log", attempt: a.attempt, position: 0, data: "text", isEnded: false }]);
  end();
  await one.end(a, 4, "end");
  await new Promise((resolve) => setTimeout(resolve));
  expect(hints).toHaveLength(1);
});
