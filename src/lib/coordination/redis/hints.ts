/** Hints that Redis pushes. They may be lost: a subscription that fails costs only delay, because readers also poll. */
import type { CoordinatorHint } from "../../core/coordinator.ts";
import type { ChannelClient } from "../../redis-client/subscriber.ts";

/** Every open stream has one, and the channel of its thread. */
interface Listener {
  readonly onHint: (hint: CoordinatorHint) => void;
  /** Gone once it was called. */
  onSubscribed: (() => void) | undefined;
  /** `undefined` until its name is known, and after it has ended. */
  channel: Channel | undefined;
  hasEnded: boolean;
}

/** A channel that has listeners, or is still subscribed. */
interface Channel {
  readonly name: string;
  /** An array, because most channels have one listener: a `Set` takes five times as much. */
  listeners: readonly Listener[];
  isSubscribed: boolean;
  /** Whether it is being subscribed or unsubscribed. */
  isChanging: boolean;
}

/** How long a channel is kept that nobody listens to, in milliseconds: so that many are left with one command, and the next turn of a thread finds its own. */
const unusedMs = 1000;

/** Subscribes to a channel once, however many listeners it has. */
export interface RedisHints {
  /** Adds a listener. Returns a function that removes it. `onSubscribed` is called once, when hints reach the listener. */
  listen(channel: Promise<string>, onHint: (hint: CoordinatorHint) => void, onSubscribed?: () => void): () => void;
}

/** Creates the hints of a coordinator. */
export function createRedisHints(client: ChannelClient): RedisHints {
  const channels = new Map<string, Channel>();
  const unused = new Set<Channel>();
  let timer: ReturnType<typeof setTimeout> | undefined;

  function receive(message: unknown, name?: unknown): void {
    const hint = parseHint(String(message));
    if (!hint) return;
    for (const { onHint } of channels.get(String(name))?.listeners ?? []) {
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
      channel.listeners.forEach(reportSubscribed);
    } catch {
      // The next listener tries again.
    }
    channel.isChanging = false;
    if (channel.listeners.length === 0) leaveUnused(channel);
  }

  function leaveUnused(channel: Channel): void {
    unused.add(channel);
    timer ??= setTimeout(() => void unsubscribe(), unusedMs);
  }

  /** Leaves all channels that nobody listens to, with one command. */
  async function unsubscribe(): Promise<void> {
    timer = undefined;
    const leaving = [...unused].filter(({ listeners, isChanging }) => listeners.length === 0 && !isChanging);
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
      if (channel.listeners.length > 0) void subscribe(channel);
      else channels.delete(channel.name);
    }
  }

  function join(listener: Listener, name: string): void {
    if (listener.hasEnded) return;
    const channel = channels.get(name) ?? { name, listeners: [], isSubscribed: false, isChanging: false };
    channels.set(name, channel);
    channel.listeners = channel.listeners.concat(listener);
    listener.channel = channel;
    if (channel.isSubscribed) reportSubscribed(listener);
    void subscribe(channel);
  }

  function leave(listener: Listener): void {
    listener.hasEnded = true;
    const { channel } = listener;
    if (!channel) return;
    listener.channel = undefined;
    // `filter` allocates seventeen slots in every open stream, and this one for each.
    channel.listeners = channel.listeners.toSpliced(channel.listeners.indexOf(listener), 1);
    if (channel.listeners.length === 0) leaveUnused(channel);
  }

  return {
    listen(channelName, onHint, onSubscribed) {
      const listener: Listener = { onHint, onSubscribed, channel: undefined, hasEnded: false };
      channelName.then(
        (name) => join(listener, name),
        () => {},
      );
      return () => leave(listener);
    },
  };
}

function reportSubscribed(listener: Listener): void {
  const { onSubscribed } = listener;
  listener.onSubscribed = undefined;
  onSubscribed?.();
}

/** Parses "attempt position isEnded data" of a log, or "" or "followed attempt" of a thread. */
function parseHint(message: string): CoordinatorHint | undefined {
  if (message === "") return { type: "thread" };
  const [, followed] = /^followed (\S+)$/.exec(message) ?? [];
  if (followed !== undefined) return { type: "thread", followed };
  const [whole, attempt, position, isEnded] = /^(\S+) (\d+) ([01]) /.exec(message) ?? [];
  if (whole === undefined || attempt === undefined) return undefined;
  return { type: "log", attempt, position: Number(position), data: message.slice(whole.length), isEnded: isEnded === "1" };
}
