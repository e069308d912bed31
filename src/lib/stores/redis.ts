/** Threads in Redis, through the app's own client. */
import { throwUsageError } from "../core/usage-error.ts";
import type { Thread, ThreadKey, ThreadStore } from "../core/store.ts";
import { activityBelow, checkCount, checkOptionNames } from "./arguments.ts";
import { changeMessage, readMessage, writeBatch } from "./message-json.ts";
import { redisCommands, type RedisClient } from "./redis-client.ts";
import * as scripts from "./redis-scripts.ts";

/** Options of {@link createRedisStore}. */
export interface RedisStoreOptions {
  /** What all keys begin with. No braces: they are for the owner, which is what a cluster places keys by. @default "chat:" */
  prefix?: string | undefined;
  /** Seconds after its last append, or its creation, at which a thread expires with all its messages. @default never */
  ttl?: number | undefined;
}

/**
 * A store in Redis 6 or newer, or a server like it that runs Lua scripts.
 *
 * Each call is one command or one script, and so atomic; deleting an owner takes two for every hundred threads, changing a
 * message two. All keys of an owner are in one slot of a cluster. Any string is kept exactly. A client that reads from replicas
 * reads what they know, which may not be the latest.
 *
 * What was acknowledged is as durable as the server is set up: a crash loses nothing with `appendonly yes` and
 * `appendfsync always`, up to a second with `everysec`. The server must not evict keys (`maxmemory-policy noeviction`, or one of the
 * `volatile-` policies where there is no `ttl`): a thread could lose one of its parts. A client that sends a command again when a
 * connection was lost (ioredis, unless `autoResendUnfulfilledCommands` is `false`) stores nothing twice, but an append that had been
 * done already then gives `[]`.
 *
 * @throws TypeError for a client of no known kind, or for an option that is unknown or wrong.
 */
export function createRedisStore(client: RedisClient, options: RedisStoreOptions = {}): ThreadStore {
  const { prefix = "chat:", ttl } = options;
  const { run, range } = redisCommands(client);
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

  /** A page of threads with the activity of each. */
  async function readPage(owner: string, below: number, limit: number): Promise<{ thread: Thread; activity: string }[]> {
    const reply = (await run(scripts.listThreads, ownerKeys(owner), [String(below), String(limit)])) as string[];
    return Array.from({ length: reply.length / 3 }, (_, index) => {
      const [id, activity, info] = reply.slice(3 * index, 3 * index + 3) as [string, string, string];
      return { thread: readThread(unescape(id), info), activity };
    });
  }

  return {
    async listMessages(key, { last } = {}) {
      if (last !== undefined) checkCount("last", last);
      const [messages] = messageKeys(key);
      const bodies = (await range(messages, last === undefined ? 0 : -last)) as string[];
      return bodies.map(readMessage);
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
        // Swapped only where the body is still the one that was read; whoever came between has succeeded, so this ends.
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

/** What stands before the place of a message. */
const sign = (isComplete: boolean): string => (isComplete ? "" : "-");

/** A hundred years, in seconds: what is longer is a mistake in the unit. */
const longestTtl = 100 * 366 * 24 * 3600;

/** Any string as text without braces, colons and lone surrogates, a different one for each: `JSON.stringify` escapes the latter. */
function escape(text: string): string {
  if (typeof text !== "string") throw new TypeError(`An owner or thread id must be a string, not ${typeof text}`);
  return encodeURIComponent(JSON.stringify(text).slice(1, -1));
}

function unescape(text: string): string {
  return JSON.parse(`"${decodeURIComponent(text)}"`);
}

/** A thread from its info: `created:updated:title`, the title as JSON. */
function readThread(threadId: string, info: string): Thread {
  const [, createdAt, updatedAt, title] = /^(\d+):(\d+):(.*)$/s.exec(info)!;
  return { threadId, title: JSON.parse(title!), createdAt: Number(createdAt), updatedAt: Number(updatedAt) };
}
