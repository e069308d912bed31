/** Sends commands to Redis through the app's own client. */

import { throwUsageError } from "../core/usage-error.ts";

/** The methods of node-redis that are called. A client, a pool, a cluster or a sentinel has them. */
export interface NodeRedisClient {
  /** Runs a script. */
  eval(script: string, options: { keys: string[]; arguments: string[] }): Promise<unknown>;
  /** Runs a script that the server has cached. */
  evalSha(sha: string, options: { keys: string[]; arguments: string[] }): Promise<unknown>;
  /** Returns the members of a sorted set by their index. */
  zRange(key: string, first: number, last: number): Promise<unknown>;
}

/** The methods of ioredis that are called. `Redis` and `Cluster` have them. */
export interface IoredisClient {
  /** Sends any command. */
  call(command: string, ...args: string[]): Promise<unknown>;
  /** Runs a script. */
  eval(script: string, keys: number, ...keysAndValues: string[]): Promise<unknown>;
  /** Runs a script that the server has cached. */
  evalsha(sha: string, keys: number, ...keysAndValues: string[]): Promise<unknown>;
}

/** Any other client. */
export interface RedisCommandClient {
  /**
   * Sends one command, whose name is the first argument, and resolves to the reply: strings, integers as numbers, `null`, and arrays of
   * these. Rejects with an `Error` that has the message of Redis (`NOSCRIPT …`). For a cluster: the first key is the second argument
   * of ZRANGE, and the fourth of EVAL and EVALSHA.
   */
  command(args: string[]): Promise<unknown>;
}

/** The clients that the store and the coordinator accept. */
export type RedisClient = NodeRedisClient | IoredisClient | RedisCommandClient;

/** A Lua script. It receives all keys that it uses, as clusters require. */
export interface RedisScript {
  lua: string;
  /** Its name on the server, computed when it first runs. */
  sha?: Promise<string>;
}

/** The commands of a client. */
export interface RedisCommands {
  /** Runs a script on keys and values. */
  run(script: RedisScript, keys: string[], values: string[]): Promise<unknown>;
  /** Returns the members of a sorted set from an index on. A negative index counts from the end. */
  range(key: string, first: number): Promise<unknown>;
}

/**
 * Returns the commands for a client. Scripts are called by their hash; only a server that has not cached a script receives it.
 *
 * @param factory - The function that received the client, for the error.
 * @throws TypeError for an unknown client.
 */
export function redisCommands(factory: string, client: RedisClient): RedisCommands {
  const { range, call, send } = connect(factory, client);
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

function connect(factory: string, client: RedisClient): { range: RedisCommands["range"]; call: Evaluate; send: Evaluate } {
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
  // Checked last: the libraries also have a method `command`, for the Redis command COMMAND.
  if (has("command")) {
    const redis = client as RedisCommandClient;
    return {
      range: (key, first) => redis.command(["ZRANGE", key, String(first), "-1"]),
      call: (sha, keys, values) => redis.command(["EVALSHA", sha, String(keys.length), ...keys, ...values]),
      send: (lua, keys, values) => redis.command(["EVAL", lua, String(keys.length), ...keys, ...values]),
    };
  }
  return throwUsageError(
    `${factory} needs a client: createClient() of node-redis, new Redis() of ioredis, ` +
      "or { command: (args) => Promise } that sends one command through yours",
  );
}

async function sha1(text: string): Promise<string> {
  const hash = await crypto.subtle.digest("SHA-1", new TextEncoder().encode(text));
  return Array.from(new Uint8Array(hash), (byte) => byte.toString(16).padStart(2, "0")).join("");
}
