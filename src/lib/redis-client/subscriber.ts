/** Receives published messages through a second client of the app. */
import { throwUsageError } from "../core/usage-error.ts";

/** The methods of node-redis that a subscriber needs: `client.duplicate()`, connected. A cluster has them, too. */
export interface NodeRedisSubscriber {
  /** Calls a listener for the messages of a channel. */
  subscribe(channel: string, listener: (message: string) => void): Promise<unknown>;
  /** Ends it. */
  unsubscribe(channel: string, listener: (message: unknown) => void): Promise<unknown>;
  /** Calls a listener for the messages of a sharded channel. */
  sSubscribe(channel: string, listener: (message: string) => void): Promise<unknown>;
  /** Ends it. */
  sUnsubscribe(channel: string, listener: (message: unknown) => void): Promise<unknown>;
}

/** The methods of ioredis that a subscriber needs: `redis.duplicate()`. A `Cluster` has them, too. */
export interface IoredisSubscriber {
  /** Subscribes to a channel. */
  subscribe(channel: string): Promise<unknown>;
  /** Ends it. */
  unsubscribe(channel: string): Promise<unknown>;
  /** Subscribes to a sharded channel. */
  ssubscribe(channel: string): Promise<unknown>;
  /** Ends it. */
  sunsubscribe(channel: string): Promise<unknown>;
  /** Calls a listener for every message. */
  on(event: "message" | "smessage", listener: (channel: string, message: string) => void): unknown;
}

/** Any other client. */
export interface RedisChannelSubscriber {
  /** Calls a listener for the messages of a channel, also after a reconnect. Resolves once subscribed, to a function that ends it. */
  subscribe(channel: string, listener: (message: string) => void): Promise<() => unknown>;
}

/** The clients that can receive published messages. Each has a connection of its own: Redis accepts no other commands on it. */
export type RedisSubscriber = NodeRedisSubscriber | IoredisSubscriber | RedisChannelSubscriber;

/** Calls a listener for the messages of a channel. Resolves to a function that ends it. */
export type SubscribeChannel = RedisChannelSubscriber["subscribe"];

/**
 * Returns a function that subscribes through a client.
 *
 * @param factory - The function that received the client, for the error.
 * @throws TypeError for an unknown client.
 */
export function connectSubscriber(factory: string, client: RedisSubscriber, isSharded: boolean): SubscribeChannel {
  const has = (...names: string[]): boolean => names.every((name) => typeof Reflect.get(Object(client), name) === "function");
  if (has("subscribe", "unsubscribe", "sSubscribe", "sUnsubscribe")) return subscribeNodeRedis(client as NodeRedisSubscriber, isSharded);
  if (has("subscribe", "unsubscribe", "ssubscribe", "sunsubscribe", "on")) return subscribeIoredis(client as IoredisSubscriber, isSharded);
  if (has("subscribe")) return (channel, listener) => (client as RedisChannelSubscriber).subscribe(channel, listener);
  return throwUsageError(
    `${factory} needs a subscriber with a connection of its own: await client.duplicate().connect() of node-redis, ` +
      "redis.duplicate() of ioredis, or { subscribe: (channel, listener) => Promise } that resolves to a function that ends it",
  );
}

function subscribeNodeRedis(client: NodeRedisSubscriber, isSharded: boolean): SubscribeChannel {
  return async (channel, listener) => {
    const onMessage = (message: unknown): void => listener(String(message));
    if (isSharded) {
      await client.sSubscribe(channel, onMessage);
      return () => client.sUnsubscribe(channel, onMessage);
    }
    await client.subscribe(channel, onMessage);
    return () => client.unsubscribe(channel, onMessage);
  };
}

/** The listeners on each client of ioredis. Coordinators that share a client share its subscriptions. */
type Listener = (message: string) => void;

const ioredisListeners = new WeakMap<IoredisSubscriber, Map<string, Set<Listener>>>();

function listenersOf(client: IoredisSubscriber): Map<string, Set<Listener>> {
  const existing = ioredisListeners.get(client);
  if (existing) return existing;
  const created = new Map<string, Set<Listener>>();
  ioredisListeners.set(client, created);
  for (const event of ["message", "smessage"] as const) {
    client.on(event, (channel, message) => created.get(channel)?.forEach((listener) => listener(message)));
  }
  return created;
}

function subscribeIoredis(client: IoredisSubscriber, isSharded: boolean): SubscribeChannel {
  const channels = listenersOf(client);

  async function remove(channel: string, listener: (message: string) => void): Promise<void> {
    const listeners = channels.get(channel);
    listeners?.delete(listener);
    if (listeners?.size !== 0) return;
    channels.delete(channel);
    await (isSharded ? client.sunsubscribe(channel) : client.unsubscribe(channel));
  }

  return async (channel, listener) => {
    // Added first: a message may arrive in the same packet as the confirmation.
    const listeners = channels.get(channel) ?? new Set();
    channels.set(channel, listeners.add(listener));
    try {
      await (isSharded ? client.ssubscribe(channel) : client.subscribe(channel));
    } catch (error) {
      await remove(channel, listener).catch(() => {});
      throw error;
    }
    return () => remove(channel, listener);
  };
}
