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
  /** Whether {@link adjust} runs for it. */
  isAdjusting: boolean;
}

/** Subscribes to a channel once, however many listeners it has. */
export interface RedisHints {
  /** Adds a listener. Returns a function that removes it. `onSubscribed` is called once, when hints reach the listener. */
  listen(channel: Promise<string>, onHint: (hint: CoordinatorHint) => void, onSubscribed?: () => void): () => void;
}

/** Creates the hints of a coordinator. */
export function createRedisHints(client: ChannelClient): RedisHints {
  const channels = new Map<string, Channel>();

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

  /** Subscribes or unsubscribes, one command after the other, until the subscription fits the listeners. */
  async function adjust(channel: Channel): Promise<void> {
    if (channel.isAdjusting) return;
    channel.isAdjusting = true;
    try {
      while (channel.listeners.length > 0 !== channel.isSubscribed) {
        if (channel.isSubscribed) {
          channel.isSubscribed = false;
          await client.unsubscribe(channel.name, receive);
        } else {
          await client.subscribe(channel.name, receive);
          channel.isSubscribed = true;
          channel.listeners.forEach(reportSubscribed);
        }
      }
    } catch {
      // The next listener tries again.
    }
    channel.isAdjusting = false;
    if (channel.listeners.length === 0) channels.delete(channel.name);
  }

  function join(listener: Listener, name: string): void {
    if (listener.hasEnded) return;
    const channel = channels.get(name) ?? { name, listeners: [], isSubscribed: false, isAdjusting: false };
    channels.set(name, channel);
    channel.listeners = channel.listeners.concat(listener);
    listener.channel = channel;
    if (channel.isSubscribed) reportSubscribed(listener);
    void adjust(channel);
  }

  function leave(listener: Listener): void {
    listener.hasEnded = true;
    const { channel } = listener;
    if (!channel) return;
    listener.channel = undefined;
    // `filter` allocates seventeen slots in every open stream, and this one for each.
    channel.listeners = channel.listeners.toSpliced(channel.listeners.indexOf(listener), 1);
    void adjust(channel);
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
