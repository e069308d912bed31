/** Threads in Redis: node-redis, ioredis, and any other client by a function. */
export { createRedisStore } from "./lib/stores/redis.ts";
export type { RedisStoreOptions } from "./lib/stores/redis.ts";
export type { IoredisClient, NodeRedisClient, RedisClient, RedisCommandClient } from "./lib/redis-client/redis-client.ts";
