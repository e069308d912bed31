/** Threads in Redis: node-redis, ioredis, and any other client by a function. */
export { createRedisStore } from "./lib/stores/redis.ts";
export type { RedisStoreOptions } from "./lib/stores/redis.ts";
export type { IoredisClient, NodeRedisClient, RedisClient, RedisCommandClient } from "./lib/redis-client/redis-client.ts";
export { createRedisCoordinator } from "./lib/coordination/redis/coordinator.ts";
export type { RedisCoordinatorOptions } from "./lib/coordination/redis/coordinator.ts";
export type { IoredisSubscriber, NodeRedisSubscriber, RedisChannelSubscriber, RedisSubscriber } from "./lib/redis-client/subscriber.ts";
