/** What the processes of the benchmark of coordinators share: their coordinator and their clock. */
import { Redis } from "ioredis";
import { Pool } from "pg";
import type { SharedCoordinator } from "../../../src/index.ts";
import { createPostgresCoordinator } from "../../../src/postgres.ts";
import { createRedisCoordinator } from "../../../src/redis.ts";
import type { Kind } from "./peers.ts";

/** Wall-clock microseconds, the same for all processes. */
export const now = (): number => Number(process.hrtime.bigint() / 1000n);

/** Creates the coordinator of this package. `undefined` for none, and for a peer. */
export function createCoordinator(kind: Kind, url: string): SharedCoordinator | undefined {
  if (kind === "redis") return createRedisCoordinator(new Redis(url), { subscriber: new Redis(url) });
  if (kind === "redis-polled") return createRedisCoordinator(new Redis(url));
  if (kind === "postgres") {
    // A busy instance keeps its connections. Here the other rows take turns with it, and each round would connect anew.
    return createPostgresCoordinator(new Pool({ connectionString: url, max: 10, idleTimeoutMillis: 0 }), { migrate: true });
  }
  return undefined;
}
