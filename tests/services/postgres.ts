/** A private PostgreSQL. */
import { execFileSync, type ChildProcess } from "node:child_process";
import { chownSync, globSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Client } from "pg";
import { end, freePort, servingUser, startServer, type Service } from "./service.ts";

export interface PostgresService extends Service {
  /** Shuts it down in good order, which cuts all connections, and starts it again. */
  restart(): Promise<void>;
}

/** Where Debian and others put the newest server's programs. */
function programs(): string {
  const folders = globSync("/usr/lib/postgresql/*/bin").sort((a, b) => a.localeCompare(b, "en", { numeric: true }));
  return folders.at(-1) ?? "/usr/local/bin";
}

function childrenOf(pid: number): number[] {
  return readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8").split(" ").filter(Boolean).map(Number);
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

/**
 * Makes and starts a PostgreSQL of the newest installed version; `settings` such as `deadlock_timeout=50ms`. No file of it grows beyond
 * `largestFile` bytes: to its processes that is a full disk. A segment of its log has 16 MiB.
 */
export async function startPostgres(settings: string[] = [], { largestFile }: { largestFile?: number } = {}): Promise<PostgresService> {
  const folder = mkdtempSync(join(tmpdir(), "chat-handler-postgres-"));
  const user = servingUser("postgres");
  if (user.uid !== undefined && user.gid !== undefined) chownSync(folder, user.uid, user.gid);
  const data = join(folder, "data");
  const options = { ...user, cwd: folder, env: { PATH: process.env.PATH, LC_ALL: "C.UTF-8" } };
  execFileSync(join(programs(), "initdb"), ["-D", data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--no-sync"], {
    ...options,
    stdio: "pipe",
  });

  const port = await freePort();
  const url = `postgres://postgres@127.0.0.1:${port}/postgres`;
  const flags = ["listen_addresses=127.0.0.1", `unix_socket_directories=${folder}`, "max_connections=200", ...settings];
  const args = ["-D", data, "-p", String(port), ...flags.flatMap((flag) => ["-c", flag])];
  let server: ChildProcess | undefined;

  async function ready(): Promise<boolean> {
    const client = new Client(url);
    await client.connect();
    await client.end();
    return true;
  }

  async function start(): Promise<void> {
    server = await startServer("prlimit", [`--fsize=${largestFile ?? "unlimited"}`, join(programs(), "postgres"), ...args], options, ready);
  }

  await start();
  return {
    url,
    start,
    async restart() {
      if (server) await end(server, "SIGINT");
      await start();
    },
    async kill(signal = "SIGKILL") {
      if (!server?.pid) return;
      if (signal !== "SIGKILL") return end(server, signal);
      const processes = [server.pid, ...childrenOf(server.pid)];
      for (const pid of processes) process.kill(pid, "SIGKILL");
      await end(server, "SIGKILL");
      while (processes.some(isAlive)) await new Promise((resolve) => setTimeout(resolve, 10)); // they hold its memory until then
    },
    async stop() {
      if (server) await end(server, "SIGQUIT");
      rmSync(folder, { recursive: true, force: true });
    },
  };
}
