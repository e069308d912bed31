import { Redis } from "ioredis";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import type { ThreadStore } from "../../../src/index.ts";
import { createRedisStore } from "../../../src/redis.ts";
import { startRedis } from "../../services/redis.ts";
import type { Service } from "../../services/service.ts";
import { startAppender } from "./children.ts";
import { cutEverywhere } from "./cut.ts";
import { answers, expectLoad, startLoad, thread } from "./load.ts";
import { openers } from "./open.ts";

let server: Service;
let redis: Redis;
let store: ThreadStore;

beforeAll(async () => {
  server = await startRedis();
  redis = new Redis(server.url, { retryStrategy: () => 50 });
  redis.on("error", () => {});
  store = createRedisStore(redis);
});

afterAll(async () => {
  redis.disconnect();
  await server.stop();
});

beforeEach(async () => {
  for (const used of [thread, answers]) await store.deleteThread(used);
});

describe.each(["nodeRedis", "ioredis"] as const)("%s", (kind) => {
  test("kill -9 of a process during thousands of appends", { timeout: 120_000 }, async () => {
    const acknowledged: string[] = [];
    for (let round = 0; round < 5; round++) {
      const appender = startAppender(kind, server.url, `client${round}`);
      await appender.until(400 + 37 * round);
      await appender.kill();
      acknowledged.push(...appender.acknowledged);
      await expectLoad(store, acknowledged);
    }
    expect(acknowledged.length).toBeGreaterThan(2000);
  });

  test("kill -9 of the server under load, and a restart", { timeout: 120_000 }, async () => {
    const { store: loaded, close } = await openers[kind](server.url);
    const load = startLoad(loaded, "server", 16);
    for (let round = 0; round < 5; round++) {
      const enough = load.acknowledged.length + 300;
      while (load.acknowledged.length < enough) await sleep(5);
      await server.kill();
      await sleep(100);
      await server.start();
    }
    const enough = load.acknowledged.length + 100;
    while (load.acknowledged.length < enough) await sleep(5);
    await load.stop();
    await expectLoad(store, load.acknowledged);
    close();
  });

  test("an append whose connection is cut at any byte is stored whole or not at all", { timeout: 120_000 }, async () => {
    const rejected = await cutEverywhere(server, store, openers[kind]);
    // ioredis resends commands without a reply.
    expect(rejected.stored + rejected.lost > 0).toBe(kind === "nodeRedis");
  });
});

function sleep(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}
