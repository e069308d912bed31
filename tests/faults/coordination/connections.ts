/** Connects to the databases of these tests, as apps do: each instance has clients of its own. */
import { Cluster, Redis } from "ioredis";
import { Pool } from "pg";
import { createClient } from "redis";
import type { ThreadStore } from "../../../src/index.ts";
import { createPostgresCoordinator, createPostgresStore } from "../../../src/postgres.ts";
import { createRedisCoordinator, createRedisStore } from "../../../src/redis.ts";
import type { CoordinatorOptions, SharedCoordinator } from "../../../src/coordinator.ts";

/** The databases of an instance. */
export interface Connections {
  coordinator: CoordinatorOptions & {
    kind: "ioredis" | "node-redis" | "redis-cluster" | "postgres";
    url: string;
    /** Redis pushes over this connection. `undefined`: the instance polls. */
    subscriberUrl?: string | undefined;
  };
  store: { kind: "redis" | "postgres"; url: string };
}

/** The beginning of the keys of the coordinator in Redis. */
export const coordinatorPrefix = "turns:";

export async function connectStore({ store: { kind, url } }: Pick<Connections, "store">): Promise<ThreadStore> {
  if (kind === "redis") return createRedisStore(openIoredis(url));
  return createPostgresStore(openPool(url));
}

export async function connectCoordinator({ coordinator }: Pick<Connections, "coordinator">): Promise<SharedCoordinator> {
  const { kind, url, subscriberUrl, ...options } = coordinator;
  const redisOptions = { ...options, prefix: coordinatorPrefix };
  switch (kind) {
    case "postgres":
      return createPostgresCoordinator(openPool(url), options);
    case "ioredis":
      return createRedisCoordinator(openIoredis(url), {
        ...redisOptions,
        subscriber: (subscriberUrl && openIoredis(subscriberUrl)) || undefined,
      });
    case "node-redis":
      return createRedisCoordinator(await openNodeRedis(url), {
        ...redisOptions,
        subscriber: subscriberUrl === undefined ? undefined : await openNodeRedis(subscriberUrl),
      });
    case "redis-cluster":
      return createRedisCoordinator(new Cluster([url]), {
        ...redisOptions,
        subscriber: new Cluster([url], { shardedSubscribers: true }),
        sharded: true,
      });
  }
}

/** Errors of idle connections are ignored; each call reports its own. */
function openPool(connectionString: string): Pool {
  const pool = new Pool({ connectionString, max: 10 });
  pool.on("error", () => {});
  return pool;
}

function openIoredis(url: string): Redis {
  const client = new Redis(url, { retryStrategy: () => 50, maxRetriesPerRequest: 1, enableOfflineQueue: true });
  client.on("error", () => {});
  return client;
}

async function openNodeRedis(url: string): Promise<ReturnType<typeof createClient>> {
  const client = createClient({ url, disableOfflineQueue: true, socket: { reconnectStrategy: 50 } });
  client.on("error", () => {});
  await client.connect();
  return client as ReturnType<typeof createClient>;
}
