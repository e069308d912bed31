/** The demo as people start it. */
import { type ChildProcess, execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { promisify } from "node:util";
import type { StoredMessage } from "../../src/index.ts";
import type { Database } from "./databases.ts";

/** A demo that can be stopped and started again on the same database. */
export interface DemoServer {
  /** Where the page is; the same after a restart. */
  url: string;
  /** The messages of the owner's only thread, read beside the demo. */
  stored(owner: string): Promise<StoredMessage[]>;
  restart(): Promise<void>;
  close(): Promise<void>;
}

/** Builds and starts the demo on a free port; closing it closes the database, too. */
export async function startDemo({ env, store, close }: Database): Promise<DemoServer> {
  let running = await npmStart({ ...env, PORT: "0" }).catch(async (error: unknown) => {
    await close();
    throw error;
  });
  return {
    url: running.url,
    async stored(owner) {
      const { threads } = await store.listThreads(owner, { limit: 2 });
      if (threads.length !== 1) throw new Error(`There is not one thread: ${JSON.stringify(threads)}`);
      return store.listMessages({ owner, threadId: threads[0]?.threadId ?? "" });
    },
    async restart() {
      await stop(running.process);
      running = await npmStart({ ...env, PORT: new URL(running.url).port });
    },
    async close() {
      await stop(running.process);
      await close();
    },
  };
}

interface Running {
  process: ChildProcess;
  url: string;
}

/** Builds the package, for `startBuilt`. */
export async function build(): Promise<void> {
  await promisify(execFile)("npm", ["run", "--silent", "build:js"]);
}

/** Starts a demo without building the package. */
export const startBuilt = (env: Record<string, string>): Promise<Running> => run("node", ["examples/c1-chat/server.ts"], env);

/** Runs `npm start` until it says where it listens. Rejects with all it said if it ends before. */
export const npmStart = (env: Record<string, string>): Promise<Running> => run("npm", ["start"], env);

function run(command: string, args: string[], env: Record<string, string>): Promise<Running> {
  const plain = { THESYS_API_KEY: "", THESYS_BASE_URL: "", DATABASE_URL: "", REDIS_URL: "", HOST: "127.0.0.1" };
  // A group of its own: npm, its shell and node are stopped together.
  const child = spawn(command, args, { env: { ...process.env, ...plain, ...env }, detached: true, stdio: ["ignore", "pipe", "pipe"] });
  let output = "";
  return new Promise((resolve, reject) => {
    const listen = (text: string) => {
      output += text;
      const url = /at (http:\S+)/.exec(output)?.[1];
      if (url !== undefined) resolve({ process: child, url });
    };
    child.stdout.setEncoding("utf8").on("data", listen);
    child.stderr.setEncoding("utf8").on("data", listen);
    child.once("close", () => reject(new Error(`The demo ended: ${output}`)));
  });
}

/** Ends a demo, with all its processes. */
export async function stop(child: ChildProcess, signal: "SIGTERM" | "SIGKILL" = "SIGTERM"): Promise<void> {
  if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return;
  const exited = once(child, "exit");
  process.kill(-child.pid, signal);
  await exited;
}
