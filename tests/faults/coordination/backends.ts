/** The databases that these tests start, and break. */
import { createHash, randomUUID } from "node:crypto";
import { Redis } from "ioredis";
import { Pool } from "pg";
import type { ThreadStore } from "../../../src/index.ts";
import { end } from "../../../src/lib/coordination/redis/scripts.ts";
import { createPostgresCoordinator, createPostgresStore } from "../../../src/postgres.ts";
import { createRedisStore } from "../../../src/redis.ts";
import { startPgBouncer } from "../../services/pgbouncer.ts";
import { startPostgres } from "../../services/postgres.ts";
import { startRedis, startRedisCluster } from "../../services/redis.ts";
import type { Service } from "../../services/service.ts";
import { type Connections, coordinatorPrefix } from "./connections.ts";

export interface Backend {
  /** The server of the coordinator. In PostgreSQL, the store is there, too. */
  server: Service;
  /** How instances connect. */
  connections: { coordinator: Connections["coordinator"]; store: Connections["store"] };
  /** The store, as the test reads it. */
  store: ThreadStore;
  /** A text that only an instance's call of `end` contains. */
  endMarker: string;
  /** Loses everything that the coordinator knows: FLUSHALL, TRUNCATE. */
  forget(): Promise<void>;
  /** The keys or rows that the coordinator has. PostgreSQL deletes rows when turns end, so turns of another thread end first. */
  leftovers(): Promise<string[]>;
  stop(): Promise<void>;
}

export type BackendName = "Redis" | "Redis Cluster" | "PostgreSQL" | "PgBouncer";

export const openBackend: Record<BackendName, (settings?: string[]) => Promise<Backend>> = {
  /** Keeps the threads in a second Redis, so that the first can lose all. */
  async Redis(settings = []) {
    const [server, storeServer] = await Promise.all([startRedis(settings), startRedis()]);
    const [admin, storeClient] = [server, storeServer].map(({ url }) => {
      const client = new Redis(url, { retryStrategy: () => 50 });
      client.on("error", () => {});
      return client;
    }) as [Redis, Redis];
    return {
      server,
      connections: {
        coordinator: { kind: "ioredis", url: server.url, subscriberUrl: server.url },
        store: { kind: "redis", url: storeServer.url },
      },
      store: createRedisStore(storeClient),
      endMarker: createHash("sha1").update(end.lua).digest("hex"),
      forget: async () => void (await admin.flushall()),
      leftovers: () => admin.keys(`${coordinatorPrefix}*`),
      async stop() {
        admin.disconnect();
        storeClient.disconnect();
        await Promise.all([server.stop(), storeServer.stop()]);
      },
    };
  },

  async "Redis Cluster"() {
    const [cluster, rest] = await Promise.all([startRedisCluster(3), openBackend.Redis()]);
    return {
      ...rest,
      connections: { ...rest.connections, coordinator: { kind: "redis-cluster", url: cluster.urls[0]! } },
      async stop() {
        await Promise.all([cluster.stop(), rest.stop()]);
      },
    };
  },

  /** PgBouncer pools transactions, in front of both the coordinator and the store. */
  async PgBouncer() {
    const rest = await openBackend.PostgreSQL();
    const bouncer = await startPgBouncer(rest.server.url);
    const { url } = bouncer;
    return {
      ...rest,
      connections: { coordinator: { kind: "postgres", url }, store: { kind: "postgres", url } },
      async stop() {
        await bouncer.stop();
        await rest.stop();
      },
    };
  },

  async PostgreSQL(settings = []) {
    const server = await startPostgres(settings);
    const pool = new Pool({ connectionString: server.url, max: 4 });
    pool.on("error", () => {});
    const store = createPostgresStore(pool);
    await store.migrate();
    const coordinator = createPostgresCoordinator(pool, { retentionMs: 100 });
    await coordinator.migrate();
    const sweeping = { owner: "", threadId: "sweeping", responseId: "sweeping", promptId: "p", promptDigest: "" };
    const tables = ["chat_tickets", "chat_turn_log", "chat_followers", "chat_stops"];
    return {
      server,
      connections: { coordinator: { kind: "postgres", url: server.url }, store: { kind: "postgres", url: server.url } },
      store,
      endMarker: "chat_end_turn",
      forget: async () => void (await pool.query(`TRUNCATE chat_slots, ${tables.join(", ")}`)),
      async leftovers() {
        for (let count = 0; count < 20; count++) {
          const turn = { ...sweeping, attempt: randomUUID() };
          const entrance = await coordinator.enter(turn, { concurrency: "queue", maxQueued: 1 }, { follower: "" });
          if (entrance.kind === "entered") await coordinator.end(entrance.ticket, 0, "");
        }
        const texts = tables.map((table) => `SELECT '${table} ' || row_to_json(t) AS row FROM ${table} t`);
        const { rows } = await pool.query<{ row: string }>(texts.join(" UNION ALL "));
        return rows.map(({ row }) => row).filter((row) => !row.includes("sweeping"));
      },
      async stop() {
        await pool.end();
        await server.stop();
      },
    };
  },
};
