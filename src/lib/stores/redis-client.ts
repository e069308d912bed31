/** How commands reach Redis through the app's own client. */

import { throwUsageError } from "../core/usage-error.ts";

/** What the store uses of node-redis: a client, a pool, a cluster or a sentinel. */
export interface NodeRedisClient {
  /** Runs a script. */
  eval(script: string, options: { keys: string[]; arguments: string[] }): Promise<unknown>;
  /** Runs a script that the server knows. */
  evalSha(sha: string, options: { keys: string[]; arguments: string[] }): Promise<unknown>;
  /** The members of a sorted set by their index. */
  zRange(key: string, first: number, last: number): Promise<unknown>;
}

/** What the store uses of ioredis: `Redis` or `Cluster`. */
export interface IoredisClient {
  /** Sends any command. */
  call(command: string, ...args: string[]): Promise<unknown>;
  /** Runs a script. */
  eval(script: string, keys: number, ...keysAndValues: string[]): Promise<unknown>;
  /** Runs a script that the server knows. */
  evalsha(sha: string, keys: number, ...keysAndValues: string[]): Promise<unknown>;
}

/** Any other client. */
export interface RedisCommandClient {
  /**
   * Sends one command, the first argument being its name, and resolves to the reply: strings, integers as numbers, `null` and
   * arrays of these. The first key, for a cluster, is the second argument of ZRANGE, the fourth of EVAL and EVALSHA. An error reply rejects with an `Error` whose
   * message is that of Redis (`NOSCRIPT …`).
   */
  command(args: string[]): Promise<unknown>;
}

/** The clients that the store can use. */
export type RedisClient = NodeRedisClient | IoredisClient | RedisCommandClient;

/** A script: the keys it touches are all handed to it, as clusters ask for. */
export interface RedisScript {
  lua: string;
  /** Its name on the server, made when it is first run. */
  sha?: Promise<string>;
}

/** What the store asks of Redis. */
export interface RedisCommands {
  /** Runs a script on keys and values. */
  run(script: RedisScript, keys: string[], values: string[]): Promise<unknown>;
  /** The members of a sorted set, from an index (negative: from the end) to the last. */
  range(key: string, first: number): Promise<unknown>;
}

/**
 * The commands through the client. Scripts are called by their hash, and sent only to a server that does not know them yet.
 *
 * @throws TypeError for a client of no known kind.
 */
export function redisCommands(client: RedisClient): RedisCommands {
  const { range, call, send } = connect(client);
  return {
    range,
    async run(script, keys, values) {
      try {
        return await call(await (script.sha ??= sha1(script.lua)), keys, values);
      } catch (error) {
        if (!(error instanceof Error && error.message.startsWith("NOSCRIPT"))) throw error;
        return send(script.lua, keys, values);
      }
    },
  };
}

type Evaluate = (script: string, keys: string[], values: string[]) => Promise<unknown>;

function connect(client: RedisClient): { range: RedisCommands["range"]; call: Evaluate; send: Evaluate } {
  const has = (...names: string[]): boolean => names.every((name) => typeof Reflect.get(Object(client), name) === "function");
  if (has("evalSha", "eval", "zRange")) {
    const redis = client as NodeRedisClient;
    return {
      range: (key, first) => redis.zRange(key, first, -1),
      call: (sha, keys, values) => redis.evalSha(sha, { keys, arguments: values }),
      send: (lua, keys, values) => redis.eval(lua, { keys, arguments: values }),
    };
  }
  if (has("call", "evalsha", "eval")) {
    const redis = client as IoredisClient;
    return {
      range: (key, first) => redis.call("ZRANGE", key, String(first), "-1"),
      call: (sha, keys, values) => redis.evalsha(sha, keys.length, ...keys, ...values),
      send: (lua, keys, values) => redis.eval(lua, keys.length, ...keys, ...values),
    };
  }
  // Last: the libraries have a method of that name, too, for the Redis command COMMAND.
  if (has("command")) {
    const redis = client as RedisCommandClient;
    return {
      range: (key, first) => redis.command(["ZRANGE", key, String(first), "-1"]),
      call: (sha, keys, values) => redis.command(["EVALSHA", sha, String(keys.length), ...keys, ...values]),
      send: (lua, keys, values) => redis.command(["EVAL", lua, String(keys.length), ...keys, ...values]),
    };
  }
  return throwUsageError(
    "createRedisStore needs a client: createClient() of node-redis, new Redis() of ioredis, " +
      "or { command: (args) => Promise } that sends one command through yours",
  );
}

async function sha1(text: string): Promise<string> {
  const hash = await crypto.subtle.digest("SHA-1", new TextEncoder().encode(text));
  return Array.from(new Uint8Array(hash), (byte) => byte.toString(16).padStart(2, "0")).join("");
}
