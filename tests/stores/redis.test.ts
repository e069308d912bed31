import { randomUUID } from "node:crypto";
import { Cluster, Redis } from "ioredis";
import { createClient, createCluster } from "redis";
import { afterAll, beforeAll, expect, onTestFinished, test } from "vitest";
import type { ThreadStore } from "../../src/index.ts";
import { createRedisStore, type RedisClient, type RedisStoreOptions } from "../../src/redis.ts";
import { testMessageStore } from "../../src/testkit.ts";
import { describeWith, remedyFor } from "../services/include.ts";
import { hasRedisServer, startRedis } from "../services/redis.ts";
import type { Service } from "../services/service.ts";
import { expectBoundedReads } from "./bounded-reads.ts";
import { answer, here, idsOf, prompt, prompts } from "./samples.ts";

const url = process.env.REDIS_URL ?? "";
const remedy = remedyFor("REDIS_URL");

test("misuse fails at construction and names the remedy", () => {
  const client: RedisClient = { command: async () => null };
  const wrong: [unknown, object, RegExp][] = [
    [undefined, {}, /^chat-handler: .*createClient\(\) of node-redis, new Redis\(\) of ioredis/],
    ["redis://localhost", {}, /command: \(args\) => Promise/],
    [{ evalsha() {} }, {}, /command: \(args\) => Promise/],
    [client, { prefix: "{a}" }, /^chat-handler: .*without braces/],
    [client, { ttl: 0 }, /^chat-handler: .*positive number of seconds/],
    [client, { ttl: Date.now() }, /positive number of seconds/],
    [client, { expire: 1 }, /^chat-handler: createRedisStore has no option "expire": its options are prefix, ttl$/],
  ];
  for (const [client, options, message] of wrong) {
    expect(() => createRedisStore(client as RedisClient, options)).toThrow(message);
  }
});

test("all keys of an owner are in one slot of a cluster, and different owners and threads have different keys", async () => {
  const seen = new Map<string, string>();
  let keys: string[] = [];
  const store = createRedisStore({
    async command([, , count, ...rest]) {
      keys = rest.slice(0, Number(count));
      return null;
    },
  });
  const odd = ["", "a", "{a}", "a}", "{", "a:b", "a%3Ab", "\0", "\\u0000", "\ud800", "\\ud800", "\ufffd", '"', "\\", "👩‍👩‍👧", "owner:"];
  for (const owner of odd) {
    const tags = new Set<string>();
    for (const threadId of odd) {
      await store.getThread({ owner, threadId }).catch(() => {});
      const ofOwner = keys;
      await store.appendMessages({ owner, threadId }, prompts("a")).catch(() => {});
      expect(keys.slice(0, 3)).toEqual(ofOwner);
      expect(keys).toHaveLength(5);
      for (const key of keys) tags.add(/\{([^}]*)\}/.exec(key)?.[1] ?? "");
      for (const key of keys.slice(3)) {
        expect(seen.get(key)).toBeUndefined();
        seen.set(key, JSON.stringify([owner, threadId]));
      }
    }
    expect([...tags]).toEqual([expect.stringContaining("owner:")]);
    expect(seen.get(`tag ${[...tags][0]}`)).toBeUndefined();
    seen.set(`tag ${[...tags][0]}`, owner);
  }
});

type Connection = { client: RedisClient; close(): Promise<unknown> };

const openers: Record<string, (url: string) => Promise<Connection>> = {
  async "node-redis"(url) {
    const client = createClient({ url });
    await client.connect();
    return { client, close: () => client.close() };
  },
  async ioredis(url) {
    const client = new Redis(url);
    return { client, close: () => client.quit() };
  },
  async "a client with command()"(url) {
    const redis = new Redis(url);
    return { client: { command: ([name = "", ...args]) => redis.call(name, ...args) }, close: () => redis.quit() };
  },
};

const onRedis = describeWith("Redis", url !== "", remedy);
onRedis("Redis", () => {
  const run = `test:${randomUUID()}:`;
  let prefixes = 0;
  const newPrefix = (): string => `${run}${++prefixes}:`;

  const admin = new Redis(url, { lazyConnect: true });
  afterAll(async () => {
    for await (const keys of admin.scanStream({ match: `${run}*`, count: 1000 })) if (keys.length > 0) await admin.unlink(...keys);
    await admin.quit();
  });

  type Opened = ThreadStore & { prefix: string; close(): Promise<unknown> };

  for (const [name, open] of Object.entries(openers)) {
    const openStore = async (prefix: string, options?: RedisStoreOptions): Promise<Opened> => {
      const { client, close } = await open(url);
      return { ...createRedisStore(client, { prefix, ...options }), prefix, close };
    };
    const subject = (options?: RedisStoreOptions) => ({
      threads: true as const,
      create: () => openStore(newPrefix(), options),
      peer: ({ prefix }: Opened) => openStore(prefix, options),
      async reopen({ prefix, close }: Opened) {
        await close();
        return openStore(prefix, options);
      },
      async destroy({ close }: Opened) {
        await close();
      },
    });
    testMessageStore(name, subject(), { test });
    if (name === "node-redis") testMessageStore(`${name} with a ttl`, subject({ ttl: 3600 }), { test });
  }

  test("a read ends where its characters do", async () => {
    for (const open of Object.values(openers)) {
      const { client, close } = await open(url);
      await expectBoundedReads(createRedisStore(client, { prefix: newPrefix() }));
      await close();
    }
  });

  test("a script that the server has forgotten is sent again", async () => {
    for (const open of Object.values(openers)) {
      const { client, close } = await open(url);
      const store = createRedisStore(client, { prefix: newPrefix() });
      await store.appendMessages(here, prompts("a"));
      await admin.script("FLUSH");
      expect(await store.appendMessages(here, prompts("b"))).toEqual(["b"]);
      await admin.script("FLUSH");
      expect(idsOf(await store.listMessages(here))).toEqual(["a", "b"]);
      await close();
    }
  });

  test("a thread expires as a whole, is no longer listed, and can be created again", async () => {
    const prefix = newPrefix();
    const store = createRedisStore(admin, { prefix, ttl: 0.6 });
    await store.appendMessages({ owner: "", threadId: "old" }, prompts("a", "b"), { title: "Old" });
    await store.createThread({ owner: "", threadId: "empty" }, "Empty");
    await sleep(400);
    await store.appendMessages(here, prompts("a"));
    await store.updateMessage({ owner: "", threadId: "old" }, "a", { status: "failed" }); // no activity: it does not stay longer
    await store.updateMessage(here, "a", { createdAt: 1 }); // nor, where it is the only message, for ever
    expect((await store.listThreads("", { limit: 5 })).threads).toHaveLength(3);
    await sleep(300);
    expect((await store.listThreads("", { limit: 5 })).threads.map(({ threadId }) => threadId)).toEqual(["thread"]);
    expect(await store.getThread({ owner: "", threadId: "old" })).toBeUndefined();
    expect(await store.listMessages({ owner: "", threadId: "old" })).toEqual([]);
    expect(await store.renameThread({ owner: "", threadId: "empty" }, "x")).toBe(false);
    expect(await store.appendMessages({ owner: "", threadId: "old" }, [answer("c", "a")], { replacesAnswerTo: "a" })).toEqual([]);
    expect(await store.appendMessages({ owner: "", threadId: "old" }, prompts("b"), { title: "New" })).toEqual(["b"]);
    expect(await store.getThread({ owner: "", threadId: "old" })).toMatchObject({ title: "New" });
    await sleep(800);
    expect(await admin.keys(`${prefix}*`)).toEqual([]);
  });

  test("messages that outlive their thread in the list, because the server evicted the list, do not come back", async () => {
    const prefix = newPrefix();
    const store = createRedisStore(admin, { prefix });
    const evictList = () => admin.del([`${prefix}{owner:}:info`, `${prefix}{owner:}:threads`]);
    await store.appendMessages(here, prompts("a", "b"));
    expect(await evictList()).toBe(2);
    expect(await store.appendMessages(here, prompts("b", "c"))).toEqual(["b", "c"]);
    expect(idsOf(await store.listMessages(here))).toEqual(["b", "c"]);
    expect(await evictList()).toBe(2);
    await store.createThread(here, "Again");
    expect(await store.listMessages(here)).toEqual([]);
  });

  test("a thread that is used again without a ttl stays, with the list it is in", async () => {
    const prefix = newPrefix();
    const brief = createRedisStore(admin, { prefix, ttl: 0.3 });
    const lasting = createRedisStore(admin, { prefix });
    await brief.appendMessages(here, prompts("a"));
    await lasting.appendMessages(here, prompts("b"));
    await brief.appendMessages({ owner: "", threadId: "brief" }, prompts("a"));
    await sleep(500);
    expect(idsOf(await lasting.listMessages(here))).toEqual(["a", "b"]);
    expect((await lasting.listThreads("", { limit: 5 })).threads.map(({ threadId }) => threadId)).toEqual(["thread"]);
    expect((await admin.keys(`${prefix}*`)).length).toBe(4); // threads, info, and the two of the thread
  });

  test("a batch that does not fit into the server's memory leaves nothing", async () => {
    const { url, stop } = await startRedis(["--maxmemory", "3mb"]);
    onTestFinished(stop);
    const redis = new Redis(url);
    onTestFinished(() => redis.disconnect());
    const store = createRedisStore(redis);
    await store.appendMessages(here, [...prompts("first", "second"), answer("part", "second", "failed")]);
    const batch = Array.from({ length: 20 }, (_, index) => prompt(String(index), "x".repeat(100_000)));
    let stored = 3;
    await expect(
      (async () => {
        for (;;)
          stored += (
            await store.appendMessages(
              here,
              batch.map((message) => ({ ...message, id: `${stored}.${message.id}` })),
            )
          ).length;
      })(),
    ).rejects.toThrow(/OOM/);
    const long = { ...answer("answer", "first"), message: { role: "assistant" as const, content: "x".repeat(2_000_000) } };
    await expect(store.appendMessages(here, [long], { replacesAnswerTo: "first" })).rejects.toThrow(/OOM/);
    expect(await store.listMessages(here)).toHaveLength(stored);

    // What gives way makes room: nothing of it may be lost without the answer being there.
    const replaced = await store.appendMessages(here, [{ ...long, promptId: "second" }], { replacesAnswerTo: "second" }).catch(() => []);
    const left = idsOf(await store.listMessages(here)).filter((id) => id === "part" || id === "answer");
    expect(left).toEqual(replaced.length > 0 ? ["answer"] : ["part"]);
  });

  test("nothing is kept of answers that were replaced or deleted", async () => {
    const prefix = newPrefix();
    const store = createRedisStore(admin, { prefix });
    const places = `${prefix}{owner:}:places:thread`;
    await store.appendMessages(here, prompts("a"));
    for (const round of [1, 2, 3]) {
      const batch = [1, 2, 3].map((step) => answer(`${round}/${step}`, "a", "failed"));
      await store.appendMessages(here, batch, { replacesAnswerTo: "a" });
      await store.appendMessages(here, [answer("late", "a", "stopped")]);
    }
    expect(await admin.hgetall(places)).toEqual({
      ...{ '"a"': "1", '"3/1"': '-10"a"', '"3/2"': '-11"a"', '"3/3"': '-12"a"', '"late"': '-13"a"' },
      ...{ 'to"a"': '"3/1"\n"3/2"\n"3/3"\n"late"', last: "13" },
    });
    await store.appendMessages(here, prompts("b"));
    for (let round = 0; round < 3; round++) await store.appendMessages(here, [answer("again", "b", "failed")], { replacesAnswerTo: "b" });
    expect(await admin.hget(places, 'to"b"')).toBe('"again"');
    await store.deleteMessages(here, ["b", "again"]);
    await store.deleteMessages(here, ["3/2", "late", "x"]);
    expect(await admin.hget(places, 'to"a"')).toBe('"3/1"\n"3/3"');
    await store.deleteMessages(here, ["a", "3/1", "3/3"]);
    expect(await admin.hgetall(places)).toEqual({ last: "17" });
  });

  test("deleting an owner of many threads leaves nothing", async () => {
    const prefix = newPrefix();
    const store = createRedisStore(admin, { prefix });
    const threads = Array.from({ length: 250 }, (_, index) => ({ owner: "many", threadId: `{${index}}` }));
    await Promise.all(threads.map((thread) => store.appendMessages(thread, prompts("a"))));
    await store.appendMessages(here, prompts("a"));
    await store.deleteOwner("many");
    expect((await admin.keys(`${prefix}*`)).map((key) => key.slice(prefix.length, prefix.length + 9))).toEqual(Array(4).fill("{owner:}:"));
  });
});

const onCluster = describeWith("Redis Cluster", hasRedisServer(), "install redis-server");
onCluster("Redis Cluster", () => {
  let server: Service;
  const clients: Record<string, (url: string) => Promise<Connection>> = {
    async "node-redis"(url) {
      const client = createCluster({ rootNodes: [{ url }] });
      await client.connect();
      return { client, close: () => client.close() };
    },
    async ioredis(url) {
      const client = new Cluster([url]);
      return { client, close: () => client.quit() };
    },
  };

  // One node that serves all slots refuses keys of different slots like any other.
  beforeAll(async () => {
    server = await startRedis(["--cluster-enabled", "yes", "--cluster-announce-ip", "127.0.0.1"]);
    const redis = new Redis(server.url);
    await redis.call("CLUSTER", "ADDSLOTSRANGE", "0", "16383");
    while (!String(await redis.call("CLUSTER", "INFO")).includes("cluster_state:ok")) await sleep(50);
    await redis.quit();
  });
  afterAll(() => server.stop());

  test("the server refuses keys of different slots", async () => {
    const redis = new Redis(server.url);
    await expect(redis.eval("return 1", 2, "a", "b")).rejects.toThrow(/CROSSSLOT/);
    await redis.quit();
  });

  for (const [name, open] of Object.entries(clients)) {
    test(`${name} finds its way`, async () => {
      const { client, close } = await open(server.url);
      const store = createRedisStore(client, { prefix: `${name}:`, ttl: 60 });
      for (const owner of ["", "ada", "{eve}"]) {
        const thread = { owner, threadId: "}{" };
        expect(await store.appendMessages(thread, prompts("a", "b"), { title: "A" })).toEqual(["a", "b"]);
        expect(await store.createThread({ owner, threadId: "" }, "B")).toMatchObject({ threadId: "", title: "B" });
        expect(await store.updateMessage(thread, "a", { status: "failed" })).toBe(true);
        await store.deleteMessages(thread, ["b"]);
        expect(await store.listMessages(thread)).toEqual([{ ...prompt("a"), status: "failed" }]);
        expect(await store.renameThread(thread, "C")).toBe(true);
        expect((await store.listThreads(owner, { limit: 5 })).threads.map(({ title }) => title)).toEqual(["B", "C"]);
        expect(await store.deleteThread(thread)).toBe(true);
        await store.deleteOwner(owner);
        expect(await store.listThreads(owner, { limit: 5 })).toEqual({ threads: [] });
      }
      await close();
    });
  }
});

function sleep(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}
