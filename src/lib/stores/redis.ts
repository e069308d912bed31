/** Keeps threads in Redis, through the app's own client. */
import { checkOptionNames, throwUsageError } from "../core/usage-error.ts";
import type { Thread, ThreadKey, ThreadStore } from "../core/store.ts";
import { activityBelow, checkListOptions } from "./arguments.ts";
import { changeMessage, readMessage, writeBatch } from "./message-json.ts";
import { redisCommands, type RedisClient } from "../redis-client/redis-client.ts";
import * as scripts from "./redis-scripts.ts";

/** Options of {@link createRedisStore}. */
export interface RedisStoreOptions {
  /** The beginning of all keys. Without braces: they mark the owner, by which a cluster assigns slots. @default "chat:" */
  prefix?: string | undefined;
  /** The seconds after its last append, or its creation, after which a thread expires with all its messages. @default never */
  ttl?: number | undefined;
}

/**
 * Creates a store in Redis 6 or newer, or in a compatible server that runs Lua scripts.
 *
 * Each call is one command or one script, and so atomic. `updateMessage` needs two, `deleteOwner` two for every hundred threads. All
 * keys of an owner are in one slot of a cluster. Any string is kept exactly. Do not read from replicas: they may lag.
 *
 * The server's configuration decides what survives a crash: everything with `appendonly yes` and `appendfsync always`, all but the last
 * second with `everysec`. The server must not evict keys, or a thread could lose one of its parts: use `maxmemory-policy noeviction`,
 * or a `volatile-` policy if you set no `ttl`. Some clients send a command again after a lost connection (ioredis, unless
 * `autoResendUnfulfilledCommands` is `false`). Then nothing is stored twice, but an append that had succeeded returns `[]`.
 *
 * @throws TypeError for an unknown client or option, or an invalid value.
 *
 * @example
 * const redis = createClient({ url: process.env.REDIS_URL }).on("error", console.error);
 * const store = createRedisStore(await redis.connect());
 */
export function createRedisStore(client: RedisClient, options: RedisStoreOptions = {}): ThreadStore {
  const { prefix = "chat:", ttl } = options;
  const { run, range } = redisCommands("createRedisStore", client);
  checkOptionNames("createRedisStore", options, ["prefix", "ttl"]);
  if (typeof prefix !== "string" || /[{}]/.test(prefix)) throwUsageError("prefix must be a string without braces");
  if (ttl !== undefined && !(ttl > 0 && ttl <= longestTtl)) throwUsageError("ttl must be a positive number of seconds");
  const milliseconds = String(Math.ceil((ttl ?? 0) * 1000));

  function ownerKeys(owner: string): string[] {
    const hashTag = `${prefix}{owner:${escape(owner)}}`;
    return [`${hashTag}:threads`, `${hashTag}:info`, `${hashTag}:expiry`];
  }

  function messageKeys({ owner, threadId }: ThreadKey): [messages: string, places: string] {
    const hashTag = `${prefix}{owner:${escape(owner)}}`;
    return [`${hashTag}:messages:${escape(threadId)}`, `${hashTag}:places:${escape(threadId)}`];
  }

  const allKeys = (key: ThreadKey): string[] => [...ownerKeys(key.owner), ...messageKeys(key)];

  /** Returns a page of threads with their activities. */
  async function readPage(owner: string, below: number, limit: number): Promise<{ thread: Thread; activity: string }[]> {
    const reply = (await run(scripts.listThreads, ownerKeys(owner), [String(below), String(limit)])) as string[];
    return Array.from({ length: reply.length / 3 }, (_, index) => {
      const [id, activity, info] = reply.slice(3 * index, 3 * index + 3) as [string, string, string];
      return { thread: readThread(unescape(id), info), activity };
    });
  }

  return {
    async listMessages(key, options = {}) {
      const { last, maxCharacters } = checkListOptions(options);
      const [messages] = messageKeys(key);
      if (!Number.isFinite(maxCharacters)) {
        const bodies = (await range(messages, Number.isFinite(last) ? -last : 0)) as string[];
        return bodies.map(readMessage);
      }
      const limit = String(Math.min(last, Number.MAX_SAFE_INTEGER));
      const newestFirst = (await run(scripts.listMessages, [messages], [limit, String(maxCharacters)])) as string[];
      return newestFirst.reverse().map(readMessage);
    },

    async appendMessages(key, messages, { title = "", replacesAnswerTo } = {}) {
      const batch = writeBatch(messages);
      if (batch.length === 0) return [];
      const stored = (await run(scripts.appendMessages, allKeys(key), [
        ...[escape(key.threadId), String(Date.now()), milliseconds, JSON.stringify(title)],
        replacesAnswerTo === undefined ? "" : JSON.stringify(replacesAnswerTo),
        ...batch.flatMap(({ id, promptId, isComplete, body }) => [
          ...[JSON.stringify(id), promptId === id ? "" : JSON.stringify(promptId)],
          ...[sign(isComplete), body],
        ]),
      ])) as number[];
      return stored.map((place) => batch[place]!.id);
    },

    async updateMessage(key, id, change) {
      let body = "";
      let changed = ["", ""];
      for (;;) {
        // Writes only if the body is still the one that was read. If not, another update has succeeded, so this loop ends.
        const reply = await run(scripts.swapMessage, messageKeys(key), [JSON.stringify(id), body, ...changed]);
        if (typeof reply !== "string") return reply === 1;
        body = reply;
        const swapped = changeMessage(body, change);
        changed = [sign(swapped.isComplete), swapped.body];
      }
    },

    async deleteMessages(key, ids) {
      await run(
        scripts.deleteMessages,
        messageKeys(key),
        ids.map((id) => JSON.stringify(id)),
      );
    },

    async listThreads(owner, page) {
      const found = await readPage(owner, activityBelow(page), page.limit + 1);
      const given = found.slice(0, page.limit);
      return {
        threads: given.map(({ thread }) => thread),
        ...(found.length > page.limit && { nextCursor: given.at(-1)!.activity }),
      };
    },

    async getThread(key) {
      const info = await run(scripts.getThread, ownerKeys(key.owner), [escape(key.threadId)]);
      return typeof info === "string" ? readThread(key.threadId, info) : undefined;
    },

    async createThread(key, title) {
      const values = [escape(key.threadId), String(Date.now()), milliseconds, JSON.stringify(title)];
      return readThread(key.threadId, (await run(scripts.createThread, allKeys(key), values)) as string);
    },

    async renameThread(key, title) {
      return (await run(scripts.renameThread, ownerKeys(key.owner), [escape(key.threadId), JSON.stringify(title)])) === 1;
    },

    async deleteThread(key) {
      return (await run(scripts.deleteThreads, allKeys(key), [escape(key.threadId)])) === 1;
    },

    async deleteOwner(owner) {
      for (;;) {
        const page = await readPage(owner, Number.MAX_SAFE_INTEGER, 100);
        if (page.length === 0) return;
        const threads = page.map(({ thread }) => thread.threadId);
        const keys = threads.flatMap((threadId) => messageKeys({ owner, threadId }));
        await run(scripts.deleteThreads, [...ownerKeys(owner), ...keys], threads.map(escape));
      }
    },
  };
}

/** Returns the sign before the position of a message. */
const sign = (isComplete: boolean): string => (isComplete ? "" : "-");

/** A hundred years, in seconds. A longer time is probably in the wrong unit. */
const longestTtl = 100 * 366 * 24 * 3600;

/** Returns a different text for each string, without braces, colons and half surrogate pairs, which `JSON.stringify` escapes. */
function escape(text: string): string {
  if (typeof text !== "string") throw new TypeError(`An owner or thread id must be a string, not ${typeof text}`);
  return encodeURIComponent(JSON.stringify(text).slice(1, -1));
}

function unescape(text: string): string {
  return JSON.parse(`"${decodeURIComponent(text)}"`);
}

/** Parses the info of a thread: `created:updated:title`, with the title as JSON. */
function readThread(threadId: string, info: string): Thread {
  const [, createdAt, updatedAt, title] = /^(\d+):(\d+):(.*)$/s.exec(info)!;
  return { threadId, title: JSON.parse(title!), createdAt: Number(createdAt), updatedAt: Number(updatedAt) };
}
