/**
 * Runs a command with a private PostgreSQL, MariaDB and Redis beside it, in `DATABASE_URL`, `MYSQL_URL` and `REDIS_URL`, and a PgBouncer in front
 * of the PostgreSQL, in `PGBOUNCER_URL`. Those that are already set are used as they are. A server that is not installed is left out, except on CI.
 *
 * For example `npx node tests/services/run.ts npm test`.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { startMysql } from "./mysql.ts";
import { startPgBouncer } from "./pgbouncer.ts";
import { startPostgres } from "./postgres.ts";
import { startRedis } from "./redis.ts";
import type { Variable } from "./include.ts";
import type { Service } from "./service.ts";

const [command = "npm", ...args] = process.argv.slice(2);
/** Nothing here is to survive a power failure. */
const careless = {
  postgres: ["fsync=off", "synchronous_commit=off", "full_page_writes=off"],
  mysql: ["--innodb-flush-method=nosync", "--innodb-flush-log-at-trx-commit=0", "--skip-innodb-doublewrite"],
};
const services: Service[] = [];
const env = { ...process.env };

/** Starts a server whose address is in none of the variables. */
async function serve(variable: Variable, start: () => Promise<Service>): Promise<void> {
  if (env[variable] !== undefined) return;
  try {
    const service = await start();
    services.push(service);
    env[variable] = service.url;
  } catch (error) {
    if (env.CI || (error as { code?: unknown }).code !== "ENOENT") throw error;
    console.warn(`Left out: the server of ${variable} is not installed`);
  }
}

try {
  await serve("DATABASE_URL", () => startPostgres(careless.postgres));
  const { DATABASE_URL } = env;
  if (DATABASE_URL !== undefined) await serve("PGBOUNCER_URL", () => startPgBouncer(DATABASE_URL));
  await serve("MYSQL_URL", () => startMysql(careless.mysql));
  await serve("REDIS_URL", () => startRedis());
  const child = spawn(command, args, { stdio: "inherit", env });
  process.on("SIGINT", () => {}); // the command gets it, too; the servers are stopped when it has ended
  process.on("SIGTERM", () => child.kill("SIGTERM"));
  const [code] = await once(child, "exit");
  process.exitCode = Number(code ?? 1);
} finally {
  for (const service of services.reverse()) await service.stop();
}
