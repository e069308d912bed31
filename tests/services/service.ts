/** A database server of the tests' own: on a free port, its data in a temporary directory. */
import { execFileSync, spawn, type ChildProcess, type SpawnOptions } from "node:child_process";
import { once } from "node:events";
import { createServer, type AddressInfo } from "node:net";

export interface Service {
  url: string;
  /**
   * Ends the server and all its processes at once, as a power failure does (what was synced stays). PostgreSQL may get another signal: SIGINT
   * ends it cleanly, and SIGQUIT leaves the recovery to the next start.
   */
  kill(signal?: NodeJS.Signals): Promise<void>;
  /** Starts it again on the same data. */
  start(): Promise<void>;
  /** Ends it and removes its data. */
  stop(): Promise<void>;
}

/** Database servers refuse to run as root: then they run as the user that their package made. Without that user they are not installed. */
export function servingUser(name: string): { uid?: number; gid?: number } {
  if (process.getuid?.() !== 0) return {};
  const id = (flag: string): number => Number(execFileSync("id", [flag, name], { encoding: "utf8", stdio: "pipe" }));
  try {
    return { uid: id("-u"), gid: id("-g") };
  } catch {
    return {};
  }
}

export async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, "close");
  return port;
}

/** Starts a server in a process group of its own, and waits until `ready` resolves to true. */
export async function startServer(
  command: string,
  args: string[],
  options: SpawnOptions,
  ready: () => Promise<boolean>,
): Promise<ChildProcess> {
  const child = spawn(command, args, { ...options, stdio: ["ignore", "pipe", "pipe"], detached: true });
  const leaving = (): unknown => child.kill("SIGKILL"); // a test run that ends early leaves no server behind
  process.once("exit", leaving);
  child.once("exit", () => process.off("exit", leaving));
  let output = "";
  for (const stream of [child.stdout, child.stderr]) stream?.setEncoding("utf8").on("data", (text) => (output += text));
  let failed: Error | undefined;
  child.once("error", (error) => (failed = error));
  const deadline = Date.now() + 30_000;
  while (!(await ready().catch(() => false))) {
    if (failed) throw failed;
    if (child.exitCode !== null || Date.now() > deadline) {
      child.kill("SIGKILL");
      throw new Error(`${command} did not start:\n${output}`);
    }
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  output = "";
  return child;
}

/** Sends the signal and waits for the process to end. */
export async function end(child: ChildProcess, signal: NodeJS.Signals): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  child.kill(signal);
  await once(child, "exit");
}
