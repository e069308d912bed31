/** Hints that Redis pushes. They may be lost: a subscription that fails costs only delay, because readers also poll. */
import type { CoordinatorHint } from "../../core/coordinator.ts";
import type { ChannelClient } from "../../redis-client/subscriber.ts";

/** Where the hints of a thread come from. */
interface HintSource {
  /** The channel, which threads may share. */
  readonly channel: string;
  /** The thread's digest, with which each of its hints begins. */
  readonly digest: string;
}

/** Every open stream has one. */
interface Listener {
  readonly onHint: (hint: CoordinatorHint) => void;
  /** Gone once it was called, and after the listener has left. */
  onSubscribed: (() => void) | undefined;
}

/** A channel that has listeners, or is still subscribed. */
interface Channel {
  readonly name: string;
  /** By the digest of their thread. An array, because most threads have one listener: a `Set` takes five times as much. */
  readonly listeners: Map<string, readonly Listener[]>;
  isSubscribed: boolean;
  /** Whether it is being subscribed or unsubscribed. */
  isChanging: boolean;
}

/** How long a channel is kept that nobody listens to, in milliseconds: so that many are left with one command, and the next turn finds its own. */
const unusedMs = 1000;

/** Subscribes to a channel once, however many listeners it has. */
export interface RedisHints {
  /** Adds a listener. Returns a function that removes it. `onSubscribed` is called once, later, when hints reach the listener. */
  listen(source: HintSource, onHint: (hint: CoordinatorHint) => void, onSubscribed?: () => void): () => void;
}

/** Creates the hints of a coordinator. */
export function createRedisHints(client: ChannelClient): RedisHints {
  const channels = new Map<string, Channel>();
  const unused = new Set<Channel>();
  let timer: ReturnType<typeof setTimeout> | undefined;

  function receive(message: unknown, name?: unknown): void {
    const [digest = ""] = String(message).split(" ", 1);
    const listeners = channels.get(String(name))?.listeners.get(digest);
    const hint = listeners && parseHint(String(message).slice(digest.length + 1));
    if (!hint) return;
    for (const { onHint } of listeners) {
      try {
        onHint(hint);
      } catch {
        // An error must not reach the parser of the client.
      }
    }
  }

  /** Subscribes to a channel, unless that was done or is under way. */
  async function subscribe(channel: Channel): Promise<void> {
    if (channel.isSubscribed || channel.isChanging) return;
    channel.isChanging = true;
    try {
      await client.subscribe(channel.name, receive);
      channel.isSubscribed = true;
      for (const listeners of channel.listeners.values()) listeners.forEach(reportSubscribed);
    } catch {
      // The next listener tries again.
    }
    channel.isChanging = false;
    if (channel.listeners.size === 0) leaveUnused(channel);
  }

  function leaveUnused(channel: Channel): void {
    unused.add(channel);
    timer ??= setTimeout(() => void unsubscribe(), unusedMs);
  }

  /** Leaves all channels that nobody listens to, with one command. */
  async function unsubscribe(): Promise<void> {
    timer = undefined;
    const leaving = [...unused].filter(({ listeners, isChanging }) => listeners.size === 0 && !isChanging);
    unused.clear();
    const names = leaving.filter(({ isSubscribed }) => isSubscribed).map(({ name }) => name);
    for (const channel of leaving) {
      channel.isSubscribed = false;
      channel.isChanging = true;
    }
    try {
      if (names.length > 0) await client.unsubscribe(names, receive);
    } catch {
      // The client has lost its connection, and the subscriptions with it.
    }
    for (const channel of leaving) {
      channel.isChanging = false;
      if (channel.listeners.size > 0) {
        void subscribe(channel);
        continue;
      }
      channels.delete(channel.name);
      // It may have been used meanwhile. Left once more, it would take the next channel of its name along.
      unused.delete(channel);
    }
  }

  function leave(channel: Channel, digest: string, listener: Listener): void {
    listener.onSubscribed = undefined;
    const listeners = channel.listeners.get(digest) ?? [];
    const index = listeners.indexOf(listener);
    if (index === -1) return;
    // `filter` allocates seventeen slots in every open stream, and this one for each.
    if (listeners.length > 1) channel.listeners.set(digest, listeners.toSpliced(index, 1));
    else channel.listeners.delete(digest);
    if (channel.listeners.size === 0) leaveUnused(channel);
  }

  return {
    listen({ channel: name, digest }, onHint, onSubscribed) {
      const channel = channels.get(name) ?? { name, listeners: new Map(), isSubscribed: false, isChanging: false };
      channels.set(name, channel);
      const listener: Listener = { onHint, onSubscribed };
      channel.listeners.set(digest, (channel.listeners.get(digest) ?? []).concat(listener));
      if (channel.isSubscribed) queueMicrotask(() => reportSubscribed(listener));
      void subscribe(channel);
      return () => leave(channel, digest, listener);
    },
  };
}

function reportSubscribed(listener: Listener): void {
  const { onSubscribed } = listener;
  listener.onSubscribed = undefined;
  onSubscribed?.();
}

/** Parses "attempt position isEnded data" of a log, or "" or "followed attempt" of a thread. */
function parseHint(text: string): CoordinatorHint | undefined {
  if (text === "") return { type: "thread" };
  const [, followed] = /^followed (\S+)$/.exec(text) ?? [];
  if (followed !== undefined) return { type: "thread", followed };
  const [whole, attempt, position, isEnded] = /^(\S+) (\d+) ([01]) /.exec(text) ?? [];
  if (whole === undefined || attempt === undefined) return undefined;
  return { type: "log", attempt, position: Number(position), data: text.slice(whole.length), isEnded: isEnded === "1" };
}
