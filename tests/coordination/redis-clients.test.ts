import { randomUUID } from "node:crypto";
import { Redis } from "ioredis";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { Coordinator, CoordinatorHint } from "../../src/lib/core/coordinator.ts";
import { createRedisCoordinator, type RedisCoordinatorOptions } from "../../src/redis.ts";
import { testCoordinator, type CoordinatorSubject, type CoordinatorTimes } from "../../src/testkit.ts";
import { describeWith, remedyFor } from "../services/include.ts";
import { hasRedisServer, startRedisCluster, type RedisCluster } from "../services/redis.ts";
import { clusterOpeners, openers, type OpenClients } from "./redis-clients.ts";
import { enter, eventually, me, queue, thread, turn } from "./turns.ts";

const url = process.env.REDIS_URL ?? "";

type Opened = Coordinator & { prefix: string; disconnect(): Promise<unknown> };

interface SubjectOptions {
  open: OpenClients;
  hints: boolean;
  sharded?: boolean;
  /** The addresses of all servers. */
  urls(): string[];
}

/** Subjects of the kit. They leave their keys to expire, within seconds. */
function subjectOf({ open, hints, sharded, urls }: SubjectOptions): CoordinatorSubject<Opened> {
  async function create(times: CoordinatorTimes, prefix: string): Promise<Opened> {
    const { client, subscriber, close } = await open(urls()[0]!);
    return { ...createRedisCoordinator(client, { ...times, prefix, sharded, ...(hints && { subscriber }) }), prefix, disconnect: close };
  }
  return {
    create: (times) => create(times, `test:${randomUUID()}:`),
    peer: ({ prefix }, times) => create(times, prefix),
    hints,
    async destroy({ disconnect }) {
      await disconnect();
    },
    async forget({ prefix }) {
      for (const url of urls()) {
        const redis = new Redis(url);
        for (const key of await redis.keys(`${prefix}*`)) await redis.unlink(key);
        await redis.quit();
      }
    },
  };
}

const onRedis = describeWith("Redis", url !== "", remedyFor("REDIS_URL"));
onRedis("Redis", () => {
  for (const [name, open] of Object.entries(openers)) {
    test(`two instances share a turn, with ${name}`, () =>
      checkSharedTurn(open, url, { prefix: `test:${randomUUID()}:`, retentionMs: 1000 }));
    testCoordinator(`${name} with a subscriber`, subjectOf({ open, hints: true, urls: () => [url] }), { test: test.concurrent });
  }
  const polling = subjectOf({ open: openers["node-redis"]!, hints: false, urls: () => [url] });
  testCoordinator("node-redis, which polls", polling, { test: test.concurrent });
});

/** Two instances, each with its own clients: order, join, push, stop, end. */
async function checkSharedTurn(open: OpenClients, url: string, options: RedisCoordinatorOptions): Promise<void> {
  const [one, other, polling] = [await open(url), await open(url), await open(url)];
  const here = createRedisCoordinator(one.client, { ...options, subscriber: one.subscriber });
  const there = createRedisCoordinator(other.client, { ...options, subscriber: other.subscriber });
  const third = createRedisCoordinator(polling.client, options);
  const hints: CoordinatorHint[] = [];
  const ends = [
    there.subscribe!(thread, "log", (hint) => hints.push(hint)),
    there.subscribe!(thread, "thread", (hint) => hints.push(hint)),
  ];
  const ticket = await enter(here, "A");
  // Until the subscription has arrived, hints are lost.
  await eventually(async () => {
    await there.stop(turn("X"));
    await here.unfollow(ticket, me);
    await third.enter(turn("A"), queue, { follower: randomUUID() });
    expect(hints).toContainEqual({ type: "thread", followed: ticket.attempt });
  });
  const next = await enter(third, "B");
  expect(await there.enter(turn("A"), queue, me)).toEqual({ kind: "joined", attempt: ticket.attempt });
  expect(await here.append(ticket, 0, "Hello")).toMatchObject({ state: "granted", isFollowed: true, logLength: 5 });
  const log = { type: "log", attempt: ticket.attempt } as const;
  await eventually(() => expect(hints).toContainEqual({ ...log, position: 0, data: "Hello", isEnded: false }));
  expect(await third.read(turn("A"), undefined, 2, me)).toEqual({ attempt: ticket.attempt, data: "llo", length: 5, state: "running" });
  expect(await third.read(turn("none"), undefined, 0, me)).toBeUndefined();
  expect(await there.stop(turn("A"))).toBe("requested");
  expect(await here.check(ticket)).toMatchObject({ isStopRequested: true });
  expect(await there.find(thread)).toBe("A");
  expect(await here.end(ticket, 5, "!")).toBe(true);
  await eventually(() => expect(hints).toContainEqual({ ...log, position: 5, data: "!", isEnded: true }));
  expect(await third.renew(next)).toMatchObject({ state: "granted" });
  expect(await there.find(thread)).toBe("B");
  expect(await there.find({ ...thread, owner: "eve" })).toBeUndefined();
  expect(await third.end(next, 0, "")).toBe(true);
  expect(await there.find(thread)).toBeUndefined();
  expect(await there.stop(turn("B"))).toBe("ended");
  for (const end of ends) end();
  for (const { close } of [one, other, polling]) await close();
}

const onCluster = describeWith("Redis Cluster", hasRedisServer(), "install redis-server");
onCluster("a cluster of three masters", () => {
  let cluster: RedisCluster;
  beforeAll(async () => {
    cluster = await startRedisCluster(3);
  }, 30_000);
  afterAll(() => cluster?.stop());

  for (const [name, open] of Object.entries(clusterOpeners)) {
    for (const sharded of [false, true]) {
      test(`two instances share a turn, with ${name} and ${sharded ? "sharded" : "plain"} channels`, async () => {
        await checkSharedTurn(open, cluster.urls[0]!, { prefix: `${name}:${sharded}:`, sharded });
      });
    }
    const subject = subjectOf({ open, hints: true, sharded: true, urls: () => cluster.urls });
    testCoordinator(`${name} in a cluster`, subject, { test: test.concurrent });
  }

  test("threads are on different masters", async () => {
    const { client, close } = await clusterOpeners.ioredis!(cluster.urls[0]!);
    const coordinator = createRedisCoordinator(client);
    for (let index = 0; index < 30; index++) {
      const key = { owner: "", threadId: `${index}` };
      const ticket = await enter(coordinator, turn("A", key));
      expect(await coordinator.append(ticket, 0, "text")).toMatchObject({ logLength: 4 });
      expect(await coordinator.end(ticket, 4, "")).toBe(true);
    }
    for (const url of cluster.urls) {
      const node = new Redis(url);
      expect(await node.dbsize()).toBeGreaterThan(0);
      node.disconnect();
    }
    await close();
  });
});
