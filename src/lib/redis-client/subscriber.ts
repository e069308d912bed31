/** Receives published messages through a second client of the app. */
import { throwUsageError } from "../core/usage-error.ts";

/** The methods of node-redis that a subscriber needs: `client.duplicate()`, connected. A cluster has them, too. */
export interface NodeRedisSubscriber {
  /** Calls a listener for the messages of a channel. */
  subscribe(channel: string, listener: (message: string) => void): Promise<unknown>;
  /** Ends subscriptions. */
  unsubscribe(channels: string[], listener: (message: unknown) => void): Promise<unknown>;
  /** Calls a listener for the messages of a sharded channel. */
  sSubscribe(channel: string, listener: (message: string) => void): Promise<unknown>;
  /** Ends it. */
  sUnsubscribe(channel: string, listener: (message: unknown) => void): Promise<unknown>;
}

/** The methods of ioredis that a subscriber needs: `redis.duplicate()`. A `Cluster` has them, too. */
export interface IoredisSubscriber {
  /** Subscribes to a channel. */
  subscribe(channel: string): Promise<unknown>;
  /** Ends subscriptions. */
  unsubscribe(...channels: string[]): Promise<unknown>;
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

/** Receives the messages of all channels of a coordinator: a closure for each channel would stay in every open stream. */
type MessageListener = (message: unknown, channel?: unknown) => void;

/** The subscriptions of a client. */
export interface ChannelClient {
  /** Calls a listener for the messages of a channel. Resolves once subscribed. */
  subscribe(channel: string, listener: MessageListener): Promise<unknown>;
  /** Ends the subscriptions of a listener. */
  unsubscribe(channels: readonly string[], listener: MessageListener): Promise<unknown>;
}

/**
 * Returns the subscriptions of a client. At most one listener subscribes to a channel.
 *
 * @param factory - The function that received the client, for the error.
 * @throws TypeError for an unknown client.
 */
export function connectSubscriber(factory: string, client: RedisSubscriber, isSharded: boolean): ChannelClient {
  const has = (...names: string[]): boolean => names.every((name) => typeof Reflect.get(Object(client), name) === "function");
  if (has("subscribe", "unsubscribe", "sSubscribe", "sUnsubscribe")) return connectNodeRedis(client as NodeRedisSubscriber, isSharded);
  if (has("subscribe", "unsubscribe", "ssubscribe", "sunsubscribe", "on")) return connectIoredis(client as IoredisSubscriber, isSharded);
  if (has("subscribe")) return connectOther(client as RedisChannelSubscriber);
  return throwUsageError(
    `${factory} needs a subscriber with a connection of its own: await client.duplicate().connect() of node-redis, ` +
      "redis.duplicate() of ioredis, or { subscribe: (channel, listener) => Promise } that resolves to a function that ends it",
  );
}

/** node-redis passes the channel to listeners, too. */
function connectNodeRedis(client: NodeRedisSubscriber, isSharded: boolean): ChannelClient {
  return isSharded
    ? {
        subscribe: (channel, listener) => client.sSubscribe(channel, listener),
        unsubscribe: (channels, listener) => Promise.all(channels.map((channel) => client.sUnsubscribe(channel, listener))),
      }
    : {
        subscribe: (channel, listener) => client.subscribe(channel, listener),
        unsubscribe: (channels, listener) => client.unsubscribe([...channels], listener),
      };
}

/** By channel. */
type Listeners = Map<string, readonly MessageListener[]>;

/** The listeners on each client of ioredis. Coordinators that share a client share its subscriptions. */
const ioredisListeners = new WeakMap<IoredisSubscriber, Listeners>();

function listenersOf(client: IoredisSubscriber): Listeners {
  const existing = ioredisListeners.get(client);
  if (existing) return existing;
  const created: Listeners = new Map();
  ioredisListeners.set(client, created);
  for (const event of ["message", "smessage"] as const) {
    client.on(event, (channel, message) => created.get(channel)?.forEach((listener) => listener(message, channel)));
  }
  return created;
}

function connectIoredis(client: IoredisSubscriber, isSharded: boolean): ChannelClient {
  const channels = listenersOf(client);
  /** Most channels have the same one listener, so they share its array. */
  let alone: readonly MessageListener[] = [];

  /** Returns whether the channel has no listener left. */
  function remove(channel: string, listener: MessageListener): boolean {
    const rest = (channels.get(channel) ?? []).filter((other) => other !== listener);
    if (rest.length > 0) channels.set(channel, rest);
    else channels.delete(channel);
    return rest.length === 0;
  }

  async function unsubscribe(names: readonly string[], listener: MessageListener): Promise<void> {
    const unused = names.filter((name) => remove(name, listener));
    // Without a name, the command would end all subscriptions.
    if (unused.length === 0) return;
    // In a cluster, the names of one command with sharded channels must have one slot.
    await (isSharded ? Promise.all(unused.map((name) => client.sunsubscribe(name))) : client.unsubscribe(...unused));
  }

  return {
    unsubscribe,
    async subscribe(channel, listener) {
      // Added first: a message may arrive in the same packet as the confirmation.
      const existing = channels.get(channel);
      if (alone[0] !== listener) alone = [listener];
      channels.set(channel, existing ? existing.concat(listener) : alone);
      try {
        await (isSharded ? client.ssubscribe(channel) : client.subscribe(channel));
      } catch (error) {
        await unsubscribe([channel], listener).catch(() => {});
        throw error;
      }
    },
  };
}

function connectOther(client: RedisChannelSubscriber): ChannelClient {
  const ends = new Map<string, () => unknown>();
  return {
    async subscribe(channel, listener) {
      ends.set(channel, await client.subscribe(channel, (message) => listener(message, channel)));
    },
    async unsubscribe(channels) {
      const unused = channels.map((channel) => ends.get(channel));
      for (const channel of channels) ends.delete(channel);
      await Promise.all(unused.map(async (end) => end?.()));
    },
  };
}
