import { Redis } from "ioredis";
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { createRedisCoordinator, type RedisCoordinatorOptions } from "../../src/redis.ts";
import type { Coordinator } from "../../src/lib/core/coordinator.ts";
import { describeWith } from "../services/include.ts";
import { hasRedisServer, startRedis } from "../services/redis.ts";
import type { Service } from "../services/service.ts";
import { enter, me, queue, sleep, thread, turn } from "./turns.ts";

// Each test empties the server, so it is not the one of the other files.
const onRedis = describeWith("Redis Server", hasRedisServer(), "install redis-server");
onRedis("a Redis that loses data or time", () => {
  let server: Service;
  let redis: Redis;
  const create = (options?: RedisCoordinatorOptions): Coordinator => createRedisCoordinator(redis, options);
  /** Its tickets expire soon. */
  const brief = (): Coordinator => create({ leaseMs: 100, retentionMs: 100 });

  beforeAll(async () => {
    server = await startRedis();
    redis = new Redis(server.url);
  }, 30_000);
  beforeEach(() => redis.flushall());
  afterAll(async () => {
    redis.disconnect();
    await server.stop();
  });

  test("after FLUSHALL, tickets return to their places, ahead of turns that entered meanwhile", async () => {
    const coordinator = create();
    const [a, b] = [await enter(coordinator, "A"), await enter(coordinator, "B")];
    await coordinator.append(a, 0, "text");
    await redis.flushall();

    expect(await coordinator.read(a, a.attempt, 0, me)).toBeUndefined();
    expect(await coordinator.stop(a)).toBe("recorded");
    const c = await enter(coordinator, "C");
    expect(await coordinator.check(c)).toMatchObject({ state: "granted" });
    expect(await coordinator.renew(b)).toMatchObject({ state: "granted" });
    expect(await coordinator.renew(a)).toMatchObject({ state: "granted", isStopRequested: true, logLength: 0 });
    expect(await coordinator.check(b)).toMatchObject({ state: "waiting" });
    expect(await coordinator.check(c)).toMatchObject({ state: "waiting" });

    await expect(coordinator.append(a, 4, "more")).rejects.toThrow("The log has only 0 of 4 characters. Write again from there.");
    await expect(coordinator.end(a, 4, "")).rejects.toThrow("The log has only 0 of 4 characters. Write again from there.");
    expect(await coordinator.append(a, 0, "textmore")).toMatchObject({ state: "granted", logLength: 8 });
    expect(await coordinator.enter(turn("A"), queue, me)).toEqual({ kind: "joined", attempt: a.attempt });
    expect(await coordinator.end(a, 8, "")).toBe(true);
    expect(await coordinator.renew(a)).toMatchObject({ state: "lost" });
    expect(await coordinator.end(b, 0, "")).toBe(true);
    expect(await coordinator.renew(c)).toMatchObject({ state: "granted" });
  });

  test("after FLUSHALL, every method puts its ticket back first", async () => {
    const coordinator = create();
    const ticket = await enter(coordinator, "A");
    const calls: [() => Promise<unknown>, unknown][] = [
      [() => coordinator.check(ticket), expect.objectContaining({ state: "granted" })],
      [() => coordinator.start(ticket), expect.objectContaining({ state: "granted" })],
      [() => coordinator.append(ticket, 0, "text"), expect.objectContaining({ state: "granted", logLength: 4 })],
      [() => coordinator.close(ticket), true],
      [() => coordinator.end(ticket, 0, "text"), true],
    ];
    for (const [call, result] of calls) {
      await redis.flushall();
      expect(await call()).toEqual(result);
    }
    expect(await coordinator.read(ticket, undefined, 0, me)).toMatchObject({ state: "ended", data: "text" });
  });

  test("a ticket from before FLUSHALL that is lost stays lost", async () => {
    const coordinator = create({ retentionMs: 100 });
    const [old, other] = [await enter(coordinator, "A"), await enter(coordinator, "B")];
    await redis.flushall();
    await coordinator.renew(other);
    await coordinator.renew(old);
    await coordinator.end(old, 0, "");
    await sleep(150);
    await brief().renew(other);
    await sleep(150);
    const next = await enter(coordinator, "C");
    await sleep(150);
    await coordinator.end(next, 0, "");
    await sleep(150);
    await enter(coordinator, "D"); // removes the records that are no longer kept
    expect((await redis.hkeys((await redis.keys("*:thread"))[0]!)).filter((field) => field.startsWith("attempt:"))).toHaveLength(3);
    expect(await coordinator.renew(old)).toMatchObject({ state: "lost" });
    expect(await coordinator.renew(other)).toMatchObject({ state: "lost" });
    expect(await coordinator.end(other, 0, "")).toBe(false);
  });

  test("after a failover to a replica that lagged, a ticket that the replica never saw returns", async () => {
    const coordinator = create();
    const a = await enter(coordinator, "A");
    const copies = await Promise.all((await redis.keys("*")).map(async (key) => [key, await redis.dumpBuffer(key)] as const));
    const b = await enter(coordinator, "B");
    await coordinator.append(a, 0, "text");
    await redis.flushall();
    for (const [key, copy] of copies) await redis.restore(key, 60_000, copy);
    expect(await coordinator.renew(b)).toMatchObject({ state: "waiting" });
    expect(await coordinator.renew(a)).toMatchObject({ state: "granted", logLength: 0 });
    expect(await coordinator.end(a, 0, "text")).toBe(true);
    expect(await coordinator.check(b)).toMatchObject({ state: "granted" });
  });

  test("after a crash of the server, everything is there", async () => {
    const coordinator = create();
    const [a, b] = [await enter(coordinator, "A"), await enter(coordinator, "B")];
    await coordinator.append(a, 0, "text");
    await server.kill();
    await server.start();
    expect(await coordinator.append(a, 4, "more")).toMatchObject({ state: "granted", logLength: 8 });
    expect(await coordinator.renew(b)).toMatchObject({ state: "waiting" });
  });

  test("after an outage longer than the lease, the turn that runs goes on, and the next still waits", async () => {
    const coordinator = create();
    const [a, b] = [await enter(coordinator, "A"), await enter(coordinator, "B")];
    await brief().renew(b);
    await brief().renew(a);
    await sleep(150);
    expect(await coordinator.find(thread)).toBeUndefined();
    expect(await coordinator.read(a, undefined, 0, me)).toMatchObject({ state: "lost" });
    expect(await coordinator.check(b)).toMatchObject({ state: "waiting" });
    expect(await coordinator.renew(a)).toMatchObject({ state: "granted" });
    expect(await coordinator.renew(b)).toMatchObject({ state: "waiting" });
    expect(await coordinator.read(a, undefined, 0, me)).toMatchObject({ state: "running" });
  });

  test("an expired ticket is lost as soon as a turn behind it is granted, or another enters", async () => {
    const coordinator = create();
    const [dead, next] = [await enter(brief(), "A"), await enter(coordinator, "B")];
    await sleep(150);
    expect(await coordinator.find(thread)).toBe("B");
    expect(await coordinator.append(next, 0, "text")).toMatchObject({ state: "granted" });
    expect(await coordinator.append(dead, 0, "late")).toMatchObject({ state: "lost", logLength: 0 });
    expect(await coordinator.renew(dead)).toMatchObject({ state: "lost" });
    await coordinator.end(next, 4, "");

    const alone = await enter(brief(), "C");
    await sleep(150);
    const last = await enter(coordinator, "D");
    expect(await coordinator.check(last)).toMatchObject({ state: "granted" });
    expect(await coordinator.renew(alone)).toMatchObject({ state: "lost" });
    expect(await coordinator.end(alone, 0, "late")).toBe(false);
    expect(await coordinator.read(alone, alone.attempt, 0, me)).toMatchObject({ state: "lost", data: "" });
  });

  test("an expired ticket is lost while a live turn is behind it, also if nobody has looked", async () => {
    const coordinator = create();
    const first = await enter(coordinator, "A");
    const next = await enter(coordinator, "B");
    await brief().renew(first);
    await sleep(150);
    expect(await coordinator.renew(first)).toMatchObject({ state: "lost" });
    expect(await coordinator.check(next)).toMatchObject({ state: "granted" });
  });

  test("an expired ticket that waits behind a live one keeps its place, and counts for nobody", async () => {
    const coordinator = create();
    const first = await enter(coordinator, "A");
    const waiting = await enter(brief(), "B");
    await sleep(150);
    expect(await coordinator.renew(first)).toMatchObject({ state: "granted" });
    expect(await coordinator.renew(waiting)).toMatchObject({ state: "waiting" });
    await brief().renew(waiting);
    await sleep(150);
    const policy = { concurrency: "queue", maxQueued: 1 } as const;
    expect(await coordinator.enter(turn("C"), policy, me)).toMatchObject({ kind: "entered", ahead: 1 });
    expect(await coordinator.renew(waiting)).toMatchObject({ state: "lost" });
  });

  test("a stop whose turn crashed meets the next attempt, and is gone after it", async () => {
    const coordinator = create();
    const dead = await enter(coordinator, "A");
    await brief().renew(dead);
    expect(await coordinator.stop(dead)).toBe("requested");
    await sleep(150);
    const again = await enter(coordinator, "A");
    expect(await coordinator.check(again)).toMatchObject({ state: "granted", isStopRequested: true });
    await coordinator.end(again, 0, "");
    expect(await coordinator.check(await enter(coordinator, "A"))).toMatchObject({ isStopRequested: false });
  });

  test("an instance with shorter times does not shorten those of another", async () => {
    const [a, b] = [await enter(create(), "A"), await enter(brief(), "B")];
    await brief().renew(b);
    await sleep(250);
    expect(await create().renew(a)).toMatchObject({ state: "granted" });
    expect(await brief().renew(b)).toMatchObject({ state: "waiting" });
    const lives = await Promise.all((await redis.keys("*")).map((key) => redis.pttl(key)));
    expect(Math.min(...lives)).toBeGreaterThan(100_000);
  });

  test("a server that evicts keys leaves no halves", async () => {
    const coordinator = create();
    const [a, b] = [await enter(coordinator, "A"), await enter(coordinator, "B")];
    await redis.unlink((await redis.keys("*:queue"))[0]!);
    expect(await coordinator.check(b)).toMatchObject({ state: "granted" });
    expect(await coordinator.renew(a)).toMatchObject({ state: "granted" });
    expect(await coordinator.check(b)).toMatchObject({ state: "waiting" });
    await coordinator.start(a);
    expect(await coordinator.check(b)).toMatchObject({ hasPredecessorStarted: true });

    await redis.unlink((await redis.keys("*:thread"))[0]!);
    expect(await coordinator.find(thread)).toBeUndefined();
    expect(await coordinator.check(await enter(coordinator, "C"))).toMatchObject({ state: "granted" });
    expect(await coordinator.renew(a)).toMatchObject({ state: "granted" });
  });
});
