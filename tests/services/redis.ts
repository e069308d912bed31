/** A private Redis. */
import type { ChildProcess } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { createConnection } from "node:net";
import { once } from "node:events";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { end, freePort, startServer, type Service } from "./service.ts";

/** Makes and starts a Redis that syncs every write to its file before it answers; `settings` such as `--cluster-enabled`, `yes`. */
export async function startRedis(settings: string[] = []): Promise<Service> {
  const folder = mkdtempSync(join(tmpdir(), "chat-handler-redis-"));
  const port = await freePort();
  const flags = [
    "--port",
    String(port),
    "--bind",
    "127.0.0.1",
    "--dir",
    folder,
    "--save",
    "",
    "--appendonly",
    "yes",
    "--appendfsync",
    "always",
  ];
  let server: ChildProcess | undefined;

  /** Answers PING; while it loads its file it answers with an error. */
  async function ready(): Promise<boolean> {
    const socket = createConnection(port, "127.0.0.1");
    try {
      socket.write("PING\r\n");
      const [answer] = await once(socket, "data");
      return String(answer) === "+PONG\r\n";
    } finally {
      socket.destroy();
    }
  }

  async function start(): Promise<void> {
    server = await startServer("redis-server", [...flags, ...settings], { cwd: folder }, ready);
  }

  await start();
  return {
    url: `redis://127.0.0.1:${port}`,
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
