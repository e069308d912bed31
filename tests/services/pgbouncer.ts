/** A private PgBouncer. */
import type { ChildProcess } from "node:child_process";
import { chownSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Client } from "pg";
import { end, freePort, servingUser, startServer, type Service } from "./service.ts";

/** Debian keeps servers in a folder that is not in everyone's PATH. */
const PATH = `${process.env.PATH}:/usr/sbin`;

/** Starts a PgBouncer in transaction mode in front of a PostgreSQL: each statement may run on another connection to the server. */
export async function startPgBouncer(databaseUrl: string): Promise<Service> {
  const folder = mkdtempSync(join(tmpdir(), "chat-handler-pgbouncer-"));
  const target = new URL(databaseUrl);
  const port = await freePort();
  const url = `postgres://${target.username}@127.0.0.1:${port}${target.pathname}`;
  const password = target.password === "" ? "" : ` password=${decodeURIComponent(target.password)}`;
  const settings = join(folder, "pgbouncer.ini");
  writeFileSync(
    settings,
    `[databases]
* = host=${target.hostname} port=${target.port || "5432"} user=${decodeURIComponent(target.username)}${password}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = ${port}
unix_socket_dir =
auth_type = any
pool_mode = transaction
default_pool_size = 5
server_round_robin = 1
ignore_startup_parameters = extra_float_digits,options
`,
  );
  const user = servingUser("postgres");
  for (const path of [folder, settings]) if (user.uid !== undefined && user.gid !== undefined) chownSync(path, user.uid, user.gid);
  let server: ChildProcess | undefined;

  async function ready(): Promise<boolean> {
    const client = new Client(url);
    await client.connect();
    await client.end();
    return true;
  }

  async function start(): Promise<void> {
    server = await startServer("pgbouncer", [settings], { ...user, cwd: folder, env: { PATH, LC_ALL: "C.UTF-8" } }, ready);
  }

  await start();
  return {
    url,
    start,
    async kill() {
      if (server) await end(server, "SIGKILL");
    },
    async stop() {
      if (server) await end(server, "SIGKILL");
      rmSync(folder, { recursive: true, force: true });
    },
  };
}
