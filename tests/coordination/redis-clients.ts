/** Clients of Redis, as apps create them. */
import { Cluster, Redis } from "ioredis";
import { createClient, createCluster } from "redis";
import type { RedisClient, RedisSubscriber } from "../../src/redis.ts";

interface Clients {
  client: RedisClient;
  subscriber: RedisSubscriber;
  close(): Promise<unknown>;
}

/** Opens a client and its subscriber. */
export type OpenClients = (url: string) => Promise<Clients>;

export const openers: Record<string, OpenClients> = {
  async "node-redis"(url) {
    const client = await createClient({ url }).connect();
    const subscriber = await client.duplicate().connect();
    return { client, subscriber, close: () => Promise.all([client.close(), subscriber.close()]) };
  },
  async ioredis(url) {
    const client = new Redis(url);
    const subscriber = client.duplicate();
    return { client, subscriber, close: () => Promise.all([client.quit(), subscriber.quit()]) };
  },
  async "a client with command()"(url) {
    const redis = new Redis(url);
    const listening = redis.duplicate();
    return {
      client: { command: ([name = "", ...args]) => redis.call(name, ...args) },
      subscriber: {
        async subscribe(channel, listener) {
          const onMessage = (name: string, message: string): void => {
            if (name === channel) listener(message);
          };
          listening.on("message", onMessage);
          await listening.subscribe(channel);
          return () => {
            listening.off("message", onMessage);
            return listening.unsubscribe(channel);
          };
        },
      },
      close: () => Promise.all([redis.quit(), listening.quit()]),
    };
  },
};

export const clusterOpeners: Record<string, OpenClients> = {
  async "node-redis"(url) {
    const client = createCluster({ rootNodes: [{ url }] });
    const subscriber = client.duplicate();
    await Promise.all([client.connect(), subscriber.connect()]);
    return { client, subscriber, close: () => Promise.all([client.close(), subscriber.close()]) };
  },
  async ioredis(url) {
    const client = new Cluster([url]);
    const subscriber = new Cluster([url], { shardedSubscribers: true });
    return { client, subscriber, close: () => Promise.all([client.quit(), subscriber.quit()]) };
  },
};
