/** The coordinators that the tests of turns on many instances run over. */
import { randomUUID } from "node:crypto";
import { Redis } from "ioredis";
import { Pool } from "pg";
import type { Coordinator, CoordinatorOptions } from "../../src/coordinator.ts";
import { createPostgresCoordinator } from "../../src/postgres.ts";
import { createRedisCoordinator } from "../../src/redis.ts";
import { createSimpleCoordinator, forgetAll, noCoordinatorData, type SimpleCoordinatorOptions } from "../testkit/simple-coordinator.ts";

/** A database of one test, which instances connect to. */
export interface CoordinatorDatabase {
  connect(options?: CoordinatorOptions): Coordinator;
  /** Loses everything. */
  forget(): Promise<void>;
  close(): Promise<void>;
}

/** A database in memory. */
export function openMemory(own: SimpleCoordinatorOptions = {}): CoordinatorDatabase {
  const data = noCoordinatorData();
  return {
    connect: (options = {}) => createSimpleCoordinator(data, { ...own, ...(options as SimpleCoordinatorOptions) }),
    forget: async () => forgetAll(data),
    close: async () => {},
  };
}

/** The same database, whose coordinators are changed. */
export function changeCoordinators(
  database: CoordinatorDatabase,
  change: (coordinator: Coordinator) => Partial<Coordinator>,
): CoordinatorDatabase {
  return {
    ...database,
    connect(options) {
      const coordinator = database.connect(options);
      return { ...coordinator, ...change(coordinator) };
    },
  };
}

/** Keys of its own in the Redis at `REDIS_URL`. */
export function openRedis({ hasSubscriber }: { hasSubscriber: boolean }): CoordinatorDatabase {
  const url = process.env.REDIS_URL ?? "";
  const prefix = `test:${randomUUID()}:`;
  const clients: Redis[] = [];
  const open = (): Redis => {
    const client = new Redis(url, { maxRetriesPerRequest: 1 });
    clients.push(client);
    return client;
  };
  const admin = open();
  const forget = async () => {
    const keys = await admin.keys(`${prefix}*`);
    if (keys.length > 0) await admin.unlink(...keys);
  };
  return {
    connect: (options = {}) => createRedisCoordinator(open(), { prefix, ...(hasSubscriber && { subscriber: open() }), ...options }),
    forget,
    async close() {
      await forget();
      for (const client of clients) client.disconnect();
    },
  };
}

/** A schema of its own in the PostgreSQL at `DATABASE_URL`. */
export async function openPostgres(): Promise<CoordinatorDatabase> {
  const connectionString = process.env.DATABASE_URL ?? "";
  const schema = `test_${randomUUID().replaceAll("-", "").slice(0, 30)}`;
  const admin = new Pool({ connectionString, max: 2 });
  await admin.query(`CREATE SCHEMA "${schema}"`);
  await createPostgresCoordinator(admin, { schema }).migrate();
  const pools: Pool[] = [];
  return {
    connect(options = {}) {
      const pool = new Pool({ connectionString, max: 5 });
      pools.push(pool);
      return createPostgresCoordinator(pool, { schema, ...options });
    },
    async forget() {
      const { rows } = await admin.query<{ name: string }>("SELECT tablename AS name FROM pg_tables WHERE schemaname = $1", [schema]);
      const tables = rows.map(({ name }) => name).filter((name) => !name.includes("versions"));
      await admin.query(`TRUNCATE ${tables.map((name) => `"${schema}"."${name}"`).join(", ")}`);
    },
    async close() {
      // Their last statements end first: one of them and the drop could wait for each other.
      for (const pool of pools) await pool.end();
      await admin.query(`DROP SCHEMA "${schema}" CASCADE`);
      await admin.end();
    },
  };
}
