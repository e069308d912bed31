/** An example as somebody who copied it has it: in a folder of its own, installed, built, started in production mode. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { cp, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { setTimeout } from "node:timers/promises";
import { root, run } from "../package/pack.ts";
import { freePort } from "../services/service.ts";

/** A copy of an example, ready to be started. */
export interface Example {
  /** Runs its `npm start` until it answers. */
  start(env: Record<string, string>): Promise<Running>;
  remove(): Promise<void>;
}

/** A started example. */
export interface Running {
  url: string;
  stop(): Promise<void>;
}

/** What a checkout may have beside the sources. */
const made = new Set(["node_modules", ".next", "build", ".react-router", ".svelte-kit", "chat.sqlite", "package-lock.json"]);

/** Copies an example and what `extras` adds to it, installs it with the packed tarball in place of the published package, and builds it. */
export async function prepare(name: string, tarball: string): Promise<Example> {
  const folder = await mkdtemp(join(tmpdir(), `chat-handler-${name}-`));
  await cp(join(root, "examples", name), folder, { recursive: true, filter: (path) => !made.has(basename(path)) });
  const extras = join(import.meta.dirname, "extras", name);
  if (existsSync(extras)) await cp(extras, folder, { recursive: true });
  await run("npm", ["install", "--prefer-offline", "--no-audit", "--no-fund", "--loglevel=error", tarball], folder);
  for (const script of ["build", "typecheck"]) await run("npm", ["run", "--if-present", script], folder);
  return { start: (env) => start(folder, env), remove: () => rm(folder, { recursive: true, force: true, maxRetries: 5 }) };
}

async function start(folder: string, env: Record<string, string>): Promise<Running> {
  const port = await freePort();
  const url = `http://127.0.0.1:${port}`;
  // A group of its own: npm, its shell and the server are stopped together.
  const child = spawn("npm", ["start"], {
    cwd: folder,
    env: { ...process.env, NODE_ENV: "production", PORT: String(port), ...env },
    detached: true,
    stdio: ["ignore", "pipe", "pipe"],
  });
  let printed = "";
  for (const output of [child.stdout, child.stderr]) output.setEncoding("utf8").on("data", (text: string) => (printed += text));
  try {
    await answering(url, child);
  } catch (error) {
    await stop(child);
    throw new Error(`The example does not answer:\n${printed}`, { cause: error });
  }
  return { url, stop: () => stop(child) };
}

/** Resolves when the page comes. */
async function answering(url: string, child: ChildProcess): Promise<void> {
  const until = performance.now() + 60_000;
  for (;;) {
    try {
      const { status } = await fetch(url);
      if (status === 200) return;
      throw new Error(`The page came with status ${status}`);
    } catch (error) {
      if (performance.now() > until || child.exitCode !== null) throw error;
      await setTimeout(100);
    }
  }
}

async function stop(child: ChildProcess): Promise<void> {
  if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return;
  const exited = once(child, "exit");
  process.kill(-child.pid, "SIGKILL");
  await exited;
}
