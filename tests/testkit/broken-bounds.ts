/** Stores that bound a read in characters, and return something else than the newest messages. */
import type { StoredMessage } from "../../src/index.ts";
import { fault, type BrokenStore } from "./broken-stores.ts";

const bounded = "`maxCharacters` gives whole messages from the newest on, at most `last`";
const updated = "`maxCharacters` counts a message as it is after an update";

const sizeOf = (message: StoredMessage): number => Buffer.byteLength(JSON.stringify(message));

/** Returns how many messages from the first on it takes until they have so many bytes. */
function countUntil(messages: readonly StoredMessage[], maxCharacters: number, size = sizeOf): number {
  let read = 0;
  const reached = messages.findIndex((message) => (read += size(message)) >= maxCharacters);
  return reached < 0 ? messages.length : reached + 1;
}

/** A fault of what is returned of the messages that `last` allows. */
const bounding = (name: string, bound: (messages: StoredMessage[], maxCharacters: number) => StoredMessage[]): BrokenStore =>
  fault(name, "maxCharacters", bounded, (good) => ({
    async listMessages(key, options) {
      const messages = await good.listMessages(key, options);
      return options?.maxCharacters === undefined ? messages : bound(messages, options.maxCharacters);
    },
  }));

/** The newest messages until they have so many bytes, as they should be. */
const newest = (messages: StoredMessage[], maxCharacters: number) =>
  messages.slice(messages.length - countUntil(messages.toReversed(), maxCharacters));

export const brokenBounds: BrokenStore[] = [
  bounding("counts characters from the oldest message on", (messages, max) => messages.slice(0, countUntil(messages, max))),
  bounding("returns nothing if the newest message alone is larger", (messages, max) =>
    messages.length > 0 && sizeOf(messages.at(-1)!) > max ? [] : newest(messages, max),
  ),
  bounding("stops before the message that reaches maxCharacters", (messages, max) => {
    const list = newest(messages, max);
    return list.length > 1 ? list.slice(1) : list;
  }),
  bounding("skips messages that are too large, and reads on", (messages, max) => messages.filter((message) => sizeOf(message) <= max)),
  bounding("cuts the text of the oldest message that it returns", (messages, max) => {
    const list = newest(messages, max);
    const [oldest, ...rest] = list;
    const surplus = list.reduce((sum, message) => sum + sizeOf(message), 0) - max;
    if (!oldest || surplus <= 0 || typeof oldest.message.content !== "string") return list;
    return [{ ...oldest, message: { role: "user", content: oldest.message.content.slice(surplus) } }, ...rest];
  }),
  bounding("returns the newest message first", (messages, max) => newest(messages, max).reverse()),
  bounding("counts four bytes for each character", (messages, max) => newest(messages, max / 4)),
  fault("ignores `last` if there is maxCharacters", "maxCharacters", bounded, (good) => ({
    async listMessages(key, options) {
      if (options?.maxCharacters === undefined) return good.listMessages(key, options);
      return newest(await good.listMessages(key), options.maxCharacters);
    },
  })),
  fault("keeps the size that a message had before an update", "maxCharacters", updated, (good) => {
    const sizes = new Map<string, number>();
    return {
      async appendMessages(key, messages, options) {
        const ids = await good.appendMessages(key, messages, options);
        for (const message of messages) sizes.set(message.id, sizeOf(message));
        return ids;
      },
      async listMessages(key, options) {
        const messages = await good.listMessages(key, options);
        const size = (message: StoredMessage) => sizes.get(message.id) ?? 0;
        return messages.slice(messages.length - countUntil(messages.toReversed(), options?.maxCharacters ?? Infinity, size));
      },
    };
  }),
];
