import { randomUUID } from "node:crypto";
import { Redis } from "ioredis";
import { afterAll, expect, onTestFinished, test } from "vitest";
import type { Coordinator, CoordinatorHint } from "../../src/lib/core/coordinator.ts";
import { createRedisHints } from "../../src/lib/coordination/redis/hints.ts";
import { createRedisCoordinator } from "../../src/redis.ts";
import { describeWith, remedyFor } from "../services/include.ts";
import { enter, eventually, me, sleep, thread } from "./turns.ts";

test("channels that nobody listens to are left together, and one that is used again meanwhile is subscribed again", async () => {
  const commands: string[] = [];
  const left = Promise.withResolvers<void>();
  const hints = createRedisHints({
    subscribe: async (channel) => commands.push(`subscribe ${channel}`),
    unsubscribe(channels) {
      commands.push(`unsubscribe ${channels.join(" ")}`);
      return left.promise;
    },
  });
  const listen = (channel: string, onSubscribed?: () => void) => hints.listen({ channel, digest: "d" }, () => {}, onSubscribed);
  const ends = ["a", "b"].map((name) => listen(name));
  await eventually(() => expect(commands).toEqual(["subscribe a", "subscribe b"]));
  for (const end of ends) end();
  await eventually(() => expect(commands.slice(2)).toEqual(["unsubscribe a b"]));
  let isSubscribed = false;
  listen("a", () => (isSubscribed = true));
  await sleep(10);
  expect([isSubscribed, commands.length]).toEqual([false, 3]);
  left.resolve();
  await eventually(() => expect(isSubscribed).toBe(true));
  expect(commands.slice(3)).toEqual(["subscribe a"]);
});

test("threads of one channel share a subscription, and each receives its own hints", async () => {
  const commands: string[] = [];
  let push: (message: string, channel: string) => void = () => {};
  const hints = createRedisHints({
    async subscribe(channel, listener) {
      commands.push(`subscribe ${channel}`);
      push = listener;
    },
    unsubscribe: async (channels) => commands.push(`unsubscribe ${channels.join(" ")}`),
  });
  const heard: string[] = [];
  const listen = (digest: string) =>
    hints.listen(
      { channel: "a", digest },
      () => heard.push(digest),
      () => heard.push(`${digest} subscribed`),
    );
  const ends = [listen("one"), listen("other")];
  await eventually(() => expect(heard).toEqual(["one subscribed", "other subscribed"]));
  // A later one learns at once that it is, but never while it is being added, and not after it has left.
  ends.push(listen("third"), listen("fourth"));
  ends.pop()!();
  expect(heard).toHaveLength(2);
  await sleep(0);
  push("other ", "a");
  push("one followed b", "a");
  push("fourth ", "a");
  push("unknown ", "a");
  push("one ", "b");
  expect(heard.slice(2)).toEqual(["third subscribed", "other", "one"]);
  ends[1]!();
  push("other ", "a");
  expect([heard.length, commands]).toEqual([5, ["subscribe a"]]);
  for (const end of ends) end();
  await eventually(() => expect(commands).toEqual(["subscribe a", "unsubscribe a"]));
});

test("a channel that is used for a moment while it is being left does not take the next one of its name along", async () => {
  let left = Promise.withResolvers<void>();
  let push: (message: string, channel: string) => void = () => {};
  const hints = createRedisHints({
    subscribe: async (_, listener) => (push = listener),
    unsubscribe: () => left.promise,
  });
  const source = { channel: "a", digest: "d" };
  hints.listen(source, () => {})();
  await sleep(1100);
  hints.listen(source, () => {})();
  left.resolve();
  await sleep(0);
  left = Promise.withResolvers();
  let heard = 0;
  hints.listen(source, () => heard++);
  await sleep(1100);
  push("d ", "a");
  expect(heard).toBe(1);
});

const url = process.env.REDIS_URL ?? "";
const onRedis = describeWith("Redis", url !== "", remedyFor("REDIS_URL"));
onRedis("hints of Redis", () => {
  const redis = new Redis(url, { lazyConnect: true });
  afterAll(() => redis.quit());

  /** Opens a coordinator without data. Its keys expire within seconds. */
  function open(): { coordinator: Coordinator; countChannels(): Promise<number> } {
    const prefix = `test:${randomUUID()}:`;
    const subscriber = redis.duplicate();
    onTestFinished(() => subscriber.disconnect());
    return {
      coordinator: createRedisCoordinator(redis, { prefix, subscriber, retentionMs: 1000 }),
      countChannels: async () => (await redis.pubsub("CHANNELS", `${prefix}*`)).length,
    };
  }

  test("a log of 1 MB is read in slices, and pushed as positions", async () => {
    const { coordinator, countChannels } = open();
    const hints: CoordinatorHint[] = [];
    const ticket = await enter(coordinator, "A");
    onTestFinished(coordinator.subscribe!(thread, "log", (hint) => hints.push(hint)));
    await eventually(async () => expect(await countChannels()).toBe(1));
    await coordinator.read(ticket, undefined, 0, me);
    const text = Array.from({ length: 100_000 }, (_, index) => String(index).padStart(10)).join("");
    await coordinator.append(ticket, 0, text);
    await coordinator.append(ticket, text.length, "more");
    let read = "";
    for (;;) {
      const slice = await coordinator.read(ticket, undefined, read.length, me);
      expect(slice!.data.length).toBeLessThanOrEqual(256 * 1024);
      if (slice!.data === "") break;
      read += slice!.data;
    }
    expect(read === `${text}more`).toBe(true);
    expect(await coordinator.read(ticket, undefined, 2_000_000, me)).toMatchObject({ data: "", length: 1_000_004 });
    await eventually(() => expect(hints).toHaveLength(2));
    expect(hints).toMatchObject([
      { position: 1_000_000, data: "" },
      { position: 1_000_000, data: "more" },
    ]);
  });

  test("text that nobody follows is not published", async () => {
    const { coordinator, countChannels } = open();
    const hints: CoordinatorHint[] = [];
    const ticket = await enter(coordinator, "A");
    onTestFinished(coordinator.subscribe!(thread, "log", (hint) => hints.push(hint)));
    await eventually(async () => expect(await countChannels()).toBe(1));
    await coordinator.append(ticket, 0, "a");
    await coordinator.read(ticket, ticket.attempt, 0, me);
    await coordinator.append(ticket, 0, "ab c\n");
    await coordinator.unfollow(ticket, me);
    await coordinator.append(ticket, 5, "d");
    await coordinator.end(ticket, 6, "e");
    await eventually(() => expect(hints).toHaveLength(2));
    expect(hints).toEqual([
      { type: "log", attempt: ticket.attempt, position: 1, data: "b c\n", isEnded: false },
      { type: "log", attempt: ticket.attempt, position: 6, data: "e", isEnded: true },
    ]);
  });

  test("a subscription follows its listeners, however fast they come and go", async () => {
    const { coordinator, countChannels } = open();
    let calls = 0;
    const listener = (): void => {
      calls++;
      if (calls === 1) throw new Error("A listener's fault");
    };
    for (let round = 0; round < 20; round++) {
      const end = coordinator.subscribe!(thread, "thread", listener);
      if (round % 2 === 0) await sleep(round / 4);
      end();
      end();
    }
    const ends = [coordinator.subscribe!(thread, "thread", listener), coordinator.subscribe!(thread, "thread", listener)];
    await eventually(async () => expect(await countChannels()).toBe(1));
    const ticket = await enter(coordinator, "A");
    await coordinator.stop(ticket);
    await eventually(() => expect(calls).toBe(2));
    ends[0]!();
    await coordinator.stop(ticket);
    await eventually(() => expect(calls).toBe(3));
    ends[1]!();
    await eventually(async () => expect(await countChannels()).toBe(0));
  });

  test("a turn that is alone on its thread receives no hint of its own entry and end", async () => {
    const { coordinator, countChannels } = open();
    const hints: CoordinatorHint[] = [];
    onTestFinished(coordinator.subscribe!(thread, "thread", (hint) => hints.push(hint)));
    await eventually(async () => expect(await countChannels()).toBe(1));
    const alone = await enter(coordinator, "A");
    await coordinator.end(alone, 0, "");
    const next = await enter(coordinator, "B");
    await coordinator.stop(next);
    await eventually(() => expect(hints).toEqual([{ type: "thread" }]));
  });
});
