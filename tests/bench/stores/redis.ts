/** The Redis store, compared with a bare script through the same client. */
import { createHash } from "node:crypto";
import { Redis } from "ioredis";
import { createClient } from "redis";
import type { StoredMessage } from "../../../src/index.ts";
import { createRedisStore, type RedisClient } from "../../../src/redis.ts";
import { type Bare, counting, owner, type Subject } from "./subject.ts";

/** When the server syncs its file: before each reply, or every second. */
export type Sync = "always" | "everysec";

/** The part of a client that the bare statements use. */
interface BareClient {
  load(script: string): Promise<unknown>;
  run(sha: string, keys: string[], values: string[]): Promise<unknown>;
  lastOf(key: string, count: number): Promise<string[]>;
}

export async function openNodeRedis(url: string, sync: Sync): Promise<Subject> {
  const client = await createClient({ url }).connect();
  await client.configSet("appendfsync", sync);
  const bare: BareClient = {
    load: (script) => client.scriptLoad(script),
    run: (sha, keys, values) => client.evalSha(sha, { keys, arguments: values }),
    lastOf: (key, count) => client.lRange(key, -count, -1),
  };
  return open(`node-redis-${sync}`, client, bare, await client.info("server"), () => client.close());
}

export async function openIoredis(url: string, sync: Sync): Promise<Subject> {
  const client = new Redis(url);
  await client.config("SET", "appendfsync", sync);
  const bare: BareClient = {
    load: (script) => client.script("LOAD", script),
    run: (sha, keys, values) => client.evalsha(sha, keys.length, ...keys, ...values),
    lastOf: (key, count) => client.lrange(key, -count, -1),
  };
  return open(`ioredis-${sync}`, client, bare, await client.info("server"), () => client.quit());
}

async function open(name: string, client: RedisClient, bare: BareClient, info: string, close: () => unknown): Promise<Subject> {
  const counted = counting(client);
  return {
    store: createRedisStore(client, { prefix: `${name}:` }),
    bare: await bareRedis(bare, `${name}-bare:`),
    counted: { store: createRedisStore(counted.client, { prefix: `${name}:` }), calls: counted.calls },
    versions: [`Redis ${/^redis_version:(\S+)/m.exec(info)?.[1]}`],
    close,
  };
}

/** As many writes as the store: the id, the message, the owner's next activity, the thread's position and its properties. */
const rest = `
redis.call('RPUSH', KEYS[2], ARGV[2])
redis.call('ZADD', KEYS[3], redis.call('INCR', KEYS[4]), ARGV[3])
redis.call('HSET', KEYS[5], ARGV[3], ARGV[4])
return 1
`;

const appendScript = `
if redis.call('HSETNX', KEYS[1], ARGV[1], 'complete') == 0 then return 0 end
${rest}`;

/** The body of a partial answer would be stored under the prompt. */
const answerScript = `
if redis.call('HEXISTS', KEYS[1], ARGV[5]) == 0 then return 0 end
local answer = 'answer:' .. ARGV[5]
local known = redis.call('HGET', KEYS[1], answer)
if known == 'complete' then return 0 end
if known then redis.call('LREM', KEYS[2], -1, known) end
redis.call('HSET', KEYS[1], ARGV[1], 'complete', answer, 'complete')
${rest}`;

async function bareRedis(client: BareClient, prefix: string): Promise<Bare> {
  const load = async (script: string): Promise<string> => {
    await client.load(script);
    return createHash("sha1").update(script).digest("hex");
  };
  const [append, appendAnswer] = [await load(appendScript), await load(answerScript)];
  const ofOwner = ["threads", "activity", "info"].map((name) => `${prefix}{${owner}}:${name}`);
  const messagesOf = (thread: string) => `${prefix}{${owner}}:messages:${thread}`;
  const run = (sha: string, thread: string, message: StoredMessage, answers: string[] = []) =>
    client.run(
      sha,
      [`${prefix}{${owner}}:ids:${thread}`, messagesOf(thread), ...ofOwner],
      [message.id, JSON.stringify(message), thread, String(Date.now()), ...answers],
    );
  return {
    append: (thread, message) => run(append, thread, message),
    appendAnswer: (thread, message) => run(appendAnswer, thread, message, [message.promptId]),
    async readLast(thread, count) {
      const bodies = await client.lastOf(messagesOf(thread), count);
      return bodies.map((body): StoredMessage => JSON.parse(body));
    },
  };
}
