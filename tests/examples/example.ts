/** Installs a copy of an example as a user would, builds it, and starts it in production mode. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { cp, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { setTimeout } from "node:timers/promises";
import { root, run } from "../package/pack.ts";
import { freePort } from "../services/service.ts";

/** A built copy of an example. */
export interface Example {
  /** Runs its `npm start`, and resolves when it serves its page. */
  start(env: Record<string, string>): Promise<Running>;
  remove(): Promise<void>;
}

/** A started example. */
export interface Running {
  url: string;
  stop(): Promise<void>;
}

/** Generated files that a checkout may contain. They are not copied. */
const generated = new Set(["node_modules", ".next", "build", ".react-router", ".svelte-kit", "chat.sqlite", "package-lock.json"]);

/** Copies an example and what `extras` adds to it, installs it with the packed tarball in place of the published package, and builds it. */
export async function prepare(name: string, tarball: string): Promise<Example> {
  const folder = await mkdtemp(join(tmpdir(), `chat-handler-${name}-`));
  await cp(join(root, "examples", name), folder, { recursive: true, filter: (path) => !generated.has(basename(path)) });
  const extras = join(import.meta.dirname, "extras", name);
  if (existsSync(extras)) await cp(extras, folder, { recursive: true });
  await run("npm", ["install", "--prefer-offline", "--no-audit", "--no-fund", "--loglevel=error", tarball], folder);
  for (const script of ["build", "typecheck"]) await run("npm", ["run", "--if-present", script], folder);
  return { start: (env) => start(folder, env), remove: () => rm(folder, { recursive: true, force: true, maxRetries: 5 }) };
}

async function start(folder: string, env: Record<string, string>): Promise<Running> {
  const port = await freePort();
  const url = `http://127.0.0.1:${port}`;
  // In a process group of its own, so that npm, its shell and the server stop together.
  const child = spawn("npm", ["start"], {
    cwd: folder,
    env: { ...process.env, NODE_ENV: "production", PORT: String(port), ...env },
    detached: true,
    stdio: ["ignore", "pipe", "pipe"],
  });
  let printed = "";
  for (const output of [child.stdout, child.stderr]) output.setEncoding("utf8").on("data", (text: string) => (printed += text));
  try {
    await waitForPage(url, child);
  } catch (error) {
    await stop(child);
    throw new Error(`The example does not serve its page:\n${printed}`, { cause: error });
  }
  return { url, stop: () => stop(child) };
}

/** Resolves when the server responds with its page. Rejects if it exits, or after a minute. */
async function waitForPage(url: string, child: ChildProcess): Promise<void> {
  const until = performance.now() + 60_000;
  for (;;) {
    try {
      const { status } = await fetch(url);
      if (status === 200) return;
      throw new Error(`The page has status ${status}`);
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
