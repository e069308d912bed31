/** A private Redis, or a private cluster. */
import { execFileSync, type ChildProcess } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { createConnection } from "node:net";
import { once } from "node:events";
import { Redis } from "ioredis";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { end, freePort, startServer, type Service } from "./service.ts";

/** Whether the program is installed. */
export function hasRedisServer(): boolean {
  try {
    return execFileSync("redis-server", ["--version"]).length > 0;
  } catch {
    return false;
  }
}

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

/** A cluster of masters, each with its share of the slots. */
export interface RedisCluster {
  /** The addresses of the masters. */
  urls: string[];
  /** Ends all and removes their data. */
  stop(): Promise<void>;
}

/** Starts a cluster. A master refuses keys of different slots, and keys of other masters. */
export async function startRedisCluster(masters: number): Promise<RedisCluster> {
  const nodes: { service: Service; busPort: number }[] = [];
  const stop = async (): Promise<void> => void (await Promise.all(nodes.map(({ service }) => service.stop())));
  try {
    for (let index = 0; index < masters; index++) {
      // By default the bus has the port plus 10000, which may not exist.
      const busPort = await freePort();
      const settings = ["--cluster-enabled", "yes", "--cluster-announce-ip", "127.0.0.1", "--cluster-port", String(busPort)];
      nodes.push({ service: await startRedis(settings), busPort });
    }
    const urls = nodes.map(({ service }) => service.url);
    const clients = urls.map((url) => new Redis(url));
    const slot = (index: number): number => Math.floor((index * 16_384) / masters);
    for (const [index, client] of clients.entries()) {
      await client.call("CLUSTER", "ADDSLOTSRANGE", String(slot(index)), String(slot(index + 1) - 1));
      await client.call("CLUSTER", "SET-CONFIG-EPOCH", String(index + 1));
    }
    for (const [index, { busPort }] of nodes.entries()) {
      if (index > 0) await clients[0]!.call("CLUSTER", "MEET", "127.0.0.1", new URL(urls[index]!).port, String(busPort));
    }
    for (const client of clients) {
      const isReady = async (): Promise<boolean> => {
        const info = String(await client.call("CLUSTER", "INFO"));
        return info.includes("cluster_state:ok") && info.includes(`cluster_known_nodes:${masters}`);
      };
      while (!(await isReady())) await new Promise((resolve) => setTimeout(resolve, 50));
      client.disconnect();
    }
    return { urls, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}
