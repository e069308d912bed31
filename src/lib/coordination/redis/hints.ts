/** Hints that Redis pushes. They may be lost: a subscription that fails costs only delay, because readers also poll. */
import type { CoordinatorHint } from "../../core/coordinator.ts";
import type { SubscribeChannel } from "../../redis-client/subscriber.ts";

type HintListener = (hint: CoordinatorHint) => void;

/** A channel that has listeners, or is still subscribed. */
interface Channel {
  readonly listeners: Set<HintListener>;
  /** Ends the subscription. `undefined`: not subscribed. */
  end?: (() => unknown) | undefined;
  /** Whether {@link adjust} runs for it. */
  isAdjusting: boolean;
}

/** Subscribes to a channel once, however many listeners it has. */
export interface RedisHints {
  /** Adds a listener. Returns a function that removes it. */
  listen(channel: Promise<string>, listener: HintListener): () => void;
}

/** Creates the hints of a coordinator. */
export function createRedisHints(subscribe: SubscribeChannel): RedisHints {
  const channels = new Map<string, Channel>();

  /** Subscribes or unsubscribes, one command after the other, until the subscription fits the listeners. */
  async function adjust(name: string, channel: Channel): Promise<void> {
    if (channel.isAdjusting) return;
    channel.isAdjusting = true;
    try {
      while (channel.listeners.size > 0 !== (channel.end !== undefined)) {
        const { end } = channel;
        channel.end = undefined;
        if (end) await end();
        else channel.end = await subscribe(name, (message) => notify(channel, message));
      }
    } catch {
      // The next listener tries again.
    }
    channel.isAdjusting = false;
    if (channel.listeners.size === 0) channels.delete(name);
  }

  return {
    listen(channelName, listener) {
      // Wrapped, so that a listener that is added twice is called twice.
      const own: HintListener = (hint) => listener(hint);
      let hasEnded = false;
      let remove = (): void => {};
      channelName.then(
        (name) => {
          if (hasEnded) return;
          const channel = channels.get(name) ?? { listeners: new Set(), isAdjusting: false };
          channels.set(name, channel);
          channel.listeners.add(own);
          remove = () => {
            channel.listeners.delete(own);
            void adjust(name, channel);
          };
          void adjust(name, channel);
        },
        () => {},
      );
      return () => {
        if (hasEnded) return;
        hasEnded = true;
        remove();
      };
    },
  };
}

function notify(channel: Channel, message: string): void {
  const hint = parseHint(message);
  if (!hint) return;
  for (const listener of channel.listeners) {
    try {
      listener(hint);
    } catch {
      // An error must not reach the parser of the client.
    }
  }
}

/** Parses "attempt position isEnded data", or "" of a thread. */
function parseHint(message: string): CoordinatorHint | undefined {
  if (message === "") return { type: "thread" };
  const [whole, attempt, position, isEnded] = /^(\S+) (\d+) ([01]) /.exec(message) ?? [];
  if (whole === undefined || attempt === undefined) return undefined;
  return { type: "log", attempt, position: Number(position), data: message.slice(whole.length), isEnded: isEnded === "1" };
}
