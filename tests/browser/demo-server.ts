/** The demo as people start it, with a SQLite file of its own. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { createSqliteStore, type SqliteStore } from "../../src/sqlite.ts";

/** A demo that can be stopped and started again on the same file. */
export interface DemoServer {
  /** Where the page is; the same after a restart. */
  url: string;
  /** What it has stored, read beside it. */
  store: SqliteStore;
  restart(): Promise<void>;
  close(): Promise<void>;
}

/** Builds and starts the demo on a free port. */
export async function startDemo(): Promise<DemoServer> {
  const folder = mkdtempSync(join(tmpdir(), "c1-chat-"));
  const file = join(folder, "chat.sqlite");
  let running = await npmStart({ PORT: "0", SQLITE_FILE: file });
  const database = new DatabaseSync(file);
  return {
    url: running.url,
    store: createSqliteStore(database),
    async restart() {
      await stop(running.process);
      running = await npmStart({ PORT: new URL(running.url).port, SQLITE_FILE: file });
    },
    async close() {
      await stop(running.process);
      database.close();
      rmSync(folder, { recursive: true });
    },
  };
}

interface Running {
  process: ChildProcess;
  url: string;
}

/** Runs `npm start` until it says where it listens. Rejects with all it said if it ends before. */
export function npmStart(env: Record<string, string>): Promise<Running> {
  const plain = { THESYS_API_KEY: "", DATABASE_URL: "", REDIS_URL: "", HOST: "127.0.0.1" };
  // A group of its own: npm, its shell and node are stopped together.
  const child = spawn("npm", ["start"], { env: { ...process.env, ...plain, ...env }, detached: true, stdio: ["ignore", "pipe", "pipe"] });
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

async function stop(child: ChildProcess): Promise<void> {
  if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return;
  const exited = once(child, "exit");
  process.kill(-child.pid, "SIGTERM");
  await exited;
}
