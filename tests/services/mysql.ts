/** A private MariaDB. */
import { execFileSync, type ChildProcess } from "node:child_process";
import { chownSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createConnection } from "mysql2/promise";
import { end, freePort, servingUser, startServer, type Service } from "./service.ts";

/** Debian keeps servers in a folder that is not in everyone's PATH. */
const PATH = `${process.env.PATH}:/usr/sbin`;

/**
 * Makes and starts a MariaDB; `settings` such as `--innodb-lock-wait-timeout=1`. No file of it grows beyond the `largestFile` bytes that
 * were set when it was started: to the server that is a full disk.
 */
export async function startMysql(settings: string[] = [], limits: { largestFile?: number } = {}): Promise<Service> {
  const folder = mkdtempSync(join(tmpdir(), "chat-handler-mysql-"));
  const user = servingUser("mysql");
  if (user.uid !== undefined && user.gid !== undefined) chownSync(folder, user.uid, user.gid);
  const data = join(folder, "data");
  const options = { ...user, cwd: folder, env: { PATH, LC_ALL: "C.UTF-8" } };
  const install = [
    "--no-defaults",
    `--datadir=${data}`,
    "--auth-root-authentication-method=normal",
    "--skip-test-db",
    "--skip-name-resolve",
  ];
  execFileSync("mariadb-install-db", install, { ...options, stdio: "pipe" });

  const port = await freePort();
  const url = `mysql://root@127.0.0.1:${port}/chat`;
  const flags = [
    "--no-defaults",
    `--datadir=${data}`,
    `--port=${port}`,
    "--bind-address=127.0.0.1",
    `--socket=${join(folder, "socket")}`,
    `--pid-file=${join(folder, "pid")}`,
    `--tmpdir=${folder}`,
    "--skip-name-resolve",
    "--max-connections=200",
  ];
  let server: ChildProcess | undefined;

  async function ready(): Promise<boolean> {
    const connection = await createConnection({ host: "127.0.0.1", port, user: "root" });
    await connection.query("CREATE DATABASE IF NOT EXISTS chat");
    await connection.end();
    return true;
  }

  async function start(): Promise<void> {
    // Without the trap, the signal for a file that grew too large would end the server, which no full disk does.
    const limit = `--fsize=${limits.largestFile ?? "unlimited"}`;
    const command = ["-c", 'trap "" XFSZ; exec "$@"', "sh", "prlimit", limit, "mariadbd", ...flags, ...settings];
    server = await startServer("sh", command, options, ready);
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
