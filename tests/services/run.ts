/**
 * Runs a command with a private PostgreSQL, MariaDB and Redis beside it, in `DATABASE_URL`, `MYSQL_URL` and `REDIS_URL`; those that are
 * already set are used as they are. For example `npx node tests/services/run.ts npm test`.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { startMysql } from "./mysql.ts";
import { startPostgres } from "./postgres.ts";
import { startRedis } from "./redis.ts";
import type { Service } from "./service.ts";

const [command = "npm", ...args] = process.argv.slice(2);
/** Nothing here is to survive a power failure. */
const careless = {
  postgres: ["fsync=off", "synchronous_commit=off", "full_page_writes=off"],
  mysql: ["--innodb-flush-method=nosync", "--innodb-flush-log-at-trx-commit=0", "--skip-innodb-doublewrite"],
};
const services: Service[] = [];

async function urlOf(start: () => Promise<Service>): Promise<string> {
  const service = await start();
  services.push(service);
  return service.url;
}

try {
  const DATABASE_URL = process.env.DATABASE_URL ?? (await urlOf(() => startPostgres(careless.postgres)));
  const MYSQL_URL = process.env.MYSQL_URL ?? (await urlOf(() => startMysql(careless.mysql)));
  const REDIS_URL = process.env.REDIS_URL ?? (await urlOf(() => startRedis()));
  const child = spawn(command, args, { stdio: "inherit", env: { ...process.env, DATABASE_URL, MYSQL_URL, REDIS_URL } });
  process.on("SIGINT", () => {}); // the command gets it, too; the servers are stopped when it has ended
  process.on("SIGTERM", () => child.kill("SIGTERM"));
  const [code] = await once(child, "exit");
  process.exitCode = Number(code ?? 1);
} finally {
  for (const service of services) await service.stop();
}
