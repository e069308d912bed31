import { randomUUID } from "node:crypto";
import { Redis } from "ioredis";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import type { Coordinator } from "../../src/lib/core/coordinator.ts";
import { createRedisCoordinator, type RedisClient, type RedisCoordinatorOptions, type RedisSubscriber } from "../../src/redis.ts";
import { describeWith, remedyFor } from "../services/include.ts";
import { enter, me, queue, sleep, thread, turn } from "./turns.ts";

const url = process.env.REDIS_URL ?? "";
test("misuse fails at construction and names the remedy", () => {
  const client: RedisClient = { command: async () => null };
  const both = Object.assign(new Redis({ lazyConnect: true }), {});
  const wrong: [unknown, object, RegExp][] = [
    [undefined, {}, /^chat-handler: createRedisCoordinator needs a client: createClient\(\) of node-redis/],
    [client, { prefix: "{a}" }, /^chat-handler: prefix must be a string without braces/],
    [client, { sharded: 1 }, /^chat-handler: sharded must be true or false/],
    [client, { subscriber: {} }, /^chat-handler: createRedisCoordinator needs a subscriber with a connection of its own/],
    [both, { subscriber: both }, /^chat-handler: subscriber must be a second client/],
    [client, { leaseMs: 50 }, /^chat-handler: leaseMs must be a whole number/],
    [client, { ttl: 1 }, /^chat-handler: createRedisCoordinator has no option "ttl": its options are leaseMs, .*, sharded$/],
  ];
  for (const [client, options, message] of wrong) {
    expect(() => createRedisCoordinator(client as RedisClient, options)).toThrow(message);
  }
});

test("a coordinator that can subscribe polls less often", () => {
  const client: RedisClient = { command: async () => null };
  const subscriber: RedisSubscriber = { subscribe: async () => () => {} };
  expect(createRedisCoordinator(client)).not.toHaveProperty("subscribe");
  expect(createRedisCoordinator(client).settings).toMatchObject({ ticketPollMs: 100, logPollMs: 100, flushMs: 84 });
  expect(createRedisCoordinator(client, { subscriber }).settings).toMatchObject({ ticketPollMs: 1000, logPollMs: 1000 });
});

const onRedis = describeWith("Redis", url !== "", remedyFor("REDIS_URL"));
onRedis("Redis", () => {
  const run = `test:${randomUUID()}:`;
  const admin = new Redis(url, { lazyConnect: true });
  let prefix = "";
  let prefixes = 0;
  const create = (options?: RedisCoordinatorOptions): Coordinator => createRedisCoordinator(admin, { prefix, ...options });
  const keysOf = (ending: string): Promise<string[]> => admin.keys(`${prefix}*${ending}`);

  beforeAll(() => {
    prefix = `${run}0:`;
  });
  afterEach(() => {
    prefix = `${run}${++prefixes}:`;
  });
  afterAll(async () => {
    for await (const keys of admin.scanStream({ match: `${run}*`, count: 1000 })) if (keys.length > 0) await admin.unlink(...keys);
    await admin.quit();
  });

  test("each call is one command that runs a cached script", async () => {
    const commands: string[] = [];
    const coordinator = createRedisCoordinator({
      command([name = "", ...args]) {
        commands.push(name);
        return admin.call(name, ...args);
      },
    });
    const callAll = async (): Promise<void> => {
      const ticket = await enter(coordinator, turn(randomUUID(), { owner: run, threadId: randomUUID() }));
      await coordinator.renew(ticket);
      await coordinator.check(ticket);
      await coordinator.start(ticket);
      await coordinator.append(ticket, 0, "text");
      await coordinator.read(ticket, ticket.attempt, 0, me);
      await coordinator.unfollow(ticket, me);
      await coordinator.close(ticket);
      await coordinator.stop(ticket);
      await coordinator.find(ticket);
      await coordinator.end(ticket, 4, "");
    };
    await callAll();
    commands.length = 0;
    await callAll();
    expect(commands).toEqual(Array(11).fill("EVALSHA"));
    await admin.script("FLUSH");
    await callAll();
  });

  test("a call that is sent twice has the result of one", async () => {
    const twice: RedisClient = {
      async command([name = "", ...args]) {
        await admin.call(name, ...args);
        return admin.call(name, ...args);
      },
    };
    const coordinator = createRedisCoordinator(twice, { prefix });
    const request = turn("A");
    const first = await coordinator.enter(request, queue, me);
    expect(first).toMatchObject({ kind: "entered", ahead: 0, status: { state: "granted" } });
    const ticket = await enter(coordinator, request);
    expect(first).toMatchObject({ ticket });
    const next = await enter(coordinator, "B");
    await coordinator.start(ticket);
    expect(await coordinator.check(ticket)).toMatchObject({ hasPredecessorStarted: false });
    expect(await coordinator.check(next)).toMatchObject({ hasPredecessorStarted: true });
    expect(await coordinator.append(ticket, 0, "text")).toMatchObject({ state: "granted", logLength: 4 });
    expect(await coordinator.stop(turn("A"))).toBe("requested");
    expect(await coordinator.stop(turn("C"))).toBe("recorded");
    expect(await coordinator.close(ticket)).toBe(true);
    expect(await coordinator.end(ticket, 4, "end")).toBe(true);
    expect(await coordinator.read(ticket, undefined, 0, me)).toMatchObject({ data: "textend", state: "ended" });
    expect(await coordinator.renew(next)).toMatchObject({ state: "granted", isStopRequested: false });
  });

  test("everything expires after the lease and the retention", async () => {
    const coordinator = create({ leaseMs: 200, retentionMs: 200 });
    const [ended, , lost] = [await enter(coordinator, "A"), await enter(coordinator, "B"), await enter(coordinator, "C")];
    await coordinator.append(ended, 0, "text");
    await coordinator.read(ended, undefined, 0, me);
    await coordinator.stop(turn("A"));
    await coordinator.stop(turn("D"));
    await coordinator.end(ended, 4, "");
    await coordinator.renew(lost);
    expect(await keysOf("*")).toHaveLength(5);
    await sleep(700);
    expect(await keysOf("*")).toEqual([]);
  });

  test("records of turns, and stops without a turn, stay few", async () => {
    const coordinator = create({ leaseMs: 100, retentionMs: 100 });
    for (let index = 0; index < 40; index++) {
      await coordinator.end(await enter(coordinator, `${index}`), 0, "");
      await coordinator.stop(turn(`early ${index}`));
      if (index % 10 === 0) await sleep(150);
    }
    await sleep(150);
    await enter(coordinator, "last");
    expect(
      Object.keys(await admin.hgetall((await keysOf(":thread"))[0]!)).filter((field) =>
        /^(attempt|turn|prompt|response|lease)/.test(field),
      ),
    ).toHaveLength(5);
    for (let index = 0; index < 150; index++) await create().stop(turn(`early ${index}`));
    expect(await admin.zcard((await keysOf(":stops"))[0]!)).toBe(100);
  });

  test("any string is a key", async () => {
    const coordinator = create();
    const odd = [
      "",
      "a",
      "{a}",
      "}",
      "a:b",
      "a b",
      "\n",
      "\0",
      "__proto__",
      "\ud800",
      "\\ud800",
      "\ufffd",
      '"',
      "%",
      "👩‍👩‍👧",
      "x".repeat(600),
    ];
    const attempts = new Map<string, string>();
    for (const id of odd) {
      for (const key of [
        { owner: id, threadId: "t", responseId: "r" },
        { owner: "o", threadId: id, responseId: "r" },
        { owner: "o", threadId: "t", responseId: id },
      ]) {
        const request = { ...turn("", key), responseId: key.responseId, promptId: id };
        attempts.set(JSON.stringify(key), (await enter(coordinator, request)).attempt);
        expect(await coordinator.enter({ ...request, attempt: randomUUID() }, queue, me)).toEqual({
          kind: "joined",
          attempt: request.attempt,
        });
        expect(await coordinator.enter({ ...request, attempt: randomUUID(), promptId: `${id} ` }, queue, me)).toEqual({ kind: "conflict" });
      }
    }
    for (const [key, attempt] of attempts) {
      expect(await coordinator.read(JSON.parse(key), undefined, 0, me)).toMatchObject({ attempt });
      expect(await coordinator.stop(JSON.parse(key))).toBe("requested");
    }
    expect(await coordinator.find({ owner: "\ud800", threadId: "t" })).toBe("r");
    expect(await coordinator.find({ owner: "\udbff", threadId: "t" })).toBeUndefined();
    for (const key of await keysOf("*")) expect(key.slice(prefix.length)).toMatch(/^\{[\w+/]{22}\}:(thread|queue|followers)$/);
  });

  test("wrong arguments are rejected before Redis sees them", async () => {
    const coordinator = create();
    const ticket = await enter(coordinator, "A");
    for (const attempt of ["", "a b", "a\n", "é", "x".repeat(101), undefined as never]) {
      await expect(enter(coordinator, { ...turn("B"), attempt })).rejects.toThrow(/^attempt must be a string of 1 to 100 ASCII/);
    }
    await expect(coordinator.read(ticket, undefined, 0, { follower: "a\n" })).rejects.toThrow(/^follower must be/);
    for (const position of [-1, 0.5, NaN, 1e300]) {
      await expect(coordinator.append(ticket, position, "")).rejects.toThrow(/^position must be a whole number/);
    }
    await expect(coordinator.append(ticket, 0, "é")).rejects.toThrow(/^data must be a string of ASCII characters/);
    for (const place of ["", "1", "1e3.1-1", "x.y"])
      await expect(coordinator.renew({ ...ticket, place })).rejects.toThrow(/^ticket.place must be/);
    expect(await coordinator.find(thread)).toBe("A");
    expect((await coordinator.check(ticket)).logLength).toBe(0);
  });

  test("a follower that polls writes to Redis only about once in a tenth of its time", async () => {
    const coordinator = create({ leaseMs: 600_000 });
    const ticket = await enter(coordinator, "A");
    await coordinator.read(ticket, undefined, 0, me);
    const key = (await keysOf(":followers"))[0]!;
    const member = (await admin.zrange(key, "0", "-1"))[0]!;
    const expiry = await admin.zscore(key, member);
    await coordinator.read(ticket, undefined, 0, me);
    expect(await admin.zscore(key, member)).toBe(expiry);
    await admin.zadd(key, String(Number(expiry) - 120_000), member);
    await coordinator.read(ticket, undefined, 0, me);
    expect(Number(await admin.zscore(key, member))).toBeGreaterThanOrEqual(Number(expiry));
  });

  test("a turn that waits writes nothing", async () => {
    const coordinator = create();
    const [, waiting] = [await enter(coordinator, "A"), await enter(coordinator, "B")];
    expect(await coordinator.append(waiting, 0, "text")).toMatchObject({ state: "waiting", logLength: 0 });
  });

  test("what is no longer kept is gone, also while the thread is in use", async () => {
    const coordinator = create({ retentionMs: 200 });
    const [empty, whole] = [await enter(coordinator, "A"), await enter(coordinator, "B")];
    await coordinator.end(empty, 0, "");
    await coordinator.append(whole, 0, "text");
    await coordinator.end(whole, 4, "");
    expect(await admin.pttl((await keysOf(whole.attempt))[0]!)).toBeLessThanOrEqual(200);
    await coordinator.stop(turn("C"));
    await sleep(150);
    await coordinator.stop(turn("D"));
    await sleep(100);
    expect(await coordinator.read(empty, undefined, 0, me)).toBeUndefined();
    expect(await coordinator.read(whole, undefined, 0, me)).toBeUndefined();
    expect(await coordinator.check(await enter(coordinator, "C"))).toMatchObject({ isStopRequested: false });
    expect(await coordinator.stop(turn("A"))).toBe("recorded");
  });

  test("a follower that is gone does not count, also while others follow the thread", async () => {
    const coordinator = create();
    const [a, b] = [await enter(coordinator, "A"), await enter(coordinator, "B")];
    await coordinator.read(a, undefined, 0, me);
    await coordinator.read(b, undefined, 0, me);
    const key = (await keysOf(":followers"))[0]!;
    await admin.zadd(
      key,
      "1",
      (await admin.zrange(key, "0", "-1")).find((member) => a.place.startsWith(member.split(" ")[0]!))!,
    );
    expect(await coordinator.check(a)).toMatchObject({ isFollowed: false });
    expect(await coordinator.check(b)).toMatchObject({ isFollowed: true });
  });

  test("a log that the server evicted does not pass for a whole one", async () => {
    const coordinator = create();
    const ticket = await enter(coordinator, "A");
    await coordinator.append(ticket, 0, "text");
    await coordinator.end(ticket, 4, "!");
    expect(await coordinator.read(ticket, undefined, 0, me)).toMatchObject({ state: "ended", data: "text!" });
    await admin.unlink(await keysOf(ticket.attempt));
    expect(await coordinator.read(ticket, undefined, 0, me)).toBeUndefined();
  });

  test("a turn takes at most 2.2 times its text, and 1 kB; after its end 1.3 times", async () => {
    const coordinator = create();
    const count = async (): Promise<number> => {
      const sizes = await Promise.all((await keysOf("*")).map((key) => admin.memory("USAGE", key, "SAMPLES", 0)));
      return sizes.reduce<number>((sum, size) => sum + Number(size), 0);
    };
    for (const length of [1000, 10_000, 100_000]) {
      const ids = { owner: randomUUID(), threadId: randomUUID(), responseId: randomUUID(), attempt: randomUUID(), promptId: randomUUID() };
      const ticket = await enter(coordinator, { ...ids, promptDigest: "d".repeat(22) });
      expect(await count()).toBeLessThan(1000);
      for (let position = 0; position < length; position += 100) await coordinator.append(ticket, position, "x".repeat(100));
      await coordinator.read(ticket, undefined, 0, { follower: randomUUID() });
      await coordinator.renew(ticket);
      expect(await count()).toBeLessThan(2.2 * length + 1000);
      await coordinator.end(ticket, length, ".");
      expect(await count()).toBeLessThan(1.3 * length + 1000);
      await admin.unlink(await keysOf("*"));
    }
  });

  test("a thousand threads do not touch each other", async () => {
    const coordinator = create();
    const ids = Array.from({ length: 1000 }, (_, index) => `${index}`);
    const tickets = await Promise.all(ids.map((threadId) => enter(coordinator, turn("A", { owner: "", threadId }))));
    await Promise.all(tickets.map((ticket) => coordinator.append(ticket, 0, ticket.threadId)));
    await Promise.all(tickets.map((ticket) => coordinator.end(ticket, ticket.threadId.length, ".")));
    const slices = await Promise.all(tickets.map((ticket) => coordinator.read(ticket, undefined, 0, me)));
    expect(slices.map((slice) => slice?.data)).toEqual(ids.map((id) => `${id}.`));
  });
});
