/** Starts the app on each runtime, with the built package bundled like in a deployment. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { createInterface } from "node:readline";
import { pathToFileURL } from "node:url";
import { build } from "esbuild";

const root = resolve(import.meta.dirname, "../..");
export const installed = resolve(import.meta.dirname, "node_modules");

/** A running server. */
export interface Server {
  url: URL;
  stop(): Promise<void>;
}

/** The program and arguments that start a bundled file. */
export const programs = {
  node: (path: string) => ({ file: process.execPath, args: [path] }),
  bun: (path: string) => ({ file: join(installed, ".bin/bun"), args: [path] }),
  deno: (path: string) => ({ file: join(installed, ".bin/deno"), args: ["run", "--allow-all", "--no-lock", path] }),
};

/** A runtime with its own program. */
export type Program = keyof typeof programs;

/** CommonJS packages in the bundle need `require`. */
const onNode = {
  platform: "node",
  banner: { js: 'import { createRequire } from "node:module"; const require = createRequire(import.meta.url);' },
} as const;

/** The files that run in workerd. */
const workers = new Set(["serve-workerd.ts", "serve-d1.ts"]);

/** Bundles a file of this folder with the built package. Resolves to the path. */
export async function bundle<T>(name: string, use: (path: string) => Promise<T>): Promise<T> {
  const folder = await mkdtemp(join(tmpdir(), "chat-handler-runtime-"));
  try {
    const outfile = join(folder, name.replace(/\.ts$/, ".mjs"));
    await build({
      entryPoints: [join(import.meta.dirname, name)],
      outfile,
      bundle: true,
      logLevel: "error",
      format: "esm",
      target: "es2022",
      ...(workers.has(name) ? { platform: "browser" } : onNode),
      plugins: [
        {
          name: "built-package",
          setup({ onResolve }) {
            onResolve({ filter: /^chat-handler(?:\/|$)/ }, ({ path }) => ({
              path: join(root, "dist", `${path.split("/")[1] ?? "index"}.js`),
            }));
          },
        },
      ],
    });
    return await use(outfile);
  } finally {
    await rm(folder, { recursive: true });
  }
}

/** Serves the app with Node, Bun or Deno. */
export function startProgram(program: Program): Promise<Server> {
  return bundle(`serve-${program}.ts`, async (path) => {
    const { file, args } = programs[program](path);
    const child = spawn(file, args, { stdio: ["ignore", "pipe", "pipe"] });
    let complaints = "";
    child.stderr.on("data", (bytes: Buffer) => (complaints += bytes.toString()));
    const ended = once(child, "exit").then(() => undefined);
    const announced = new Promise<string>((found) => {
      createInterface({ input: child.stdout }).on("line", (line) => {
        const port = /^port (\d+)$/.exec(line)?.[1];
        if (port !== undefined) found(port);
      });
    });
    const port = await Promise.race([announced, ended]);
    if (port === undefined) throw new Error(`${program} ended before it served\n${complaints}`);
    return {
      url: new URL(`http://127.0.0.1:${port}`),
      async stop() {
        if (child.exitCode !== null) throw new Error(`${program} ended by itself\n${complaints}`);
        child.kill();
        await ended;
      },
    };
  });
}

/** The used part of miniflare, which is installed separately and without types here. */
interface MiniflareModule {
  Miniflare: new (options: object) => { unsafeGetDirectURL(): Promise<URL>; dispose(): Promise<void> };
}

/** Serves the app, or another file of this folder, with workerd. */
export async function startWorkerd(name = "serve-workerd.ts", options: object = {}): Promise<Server> {
  const { Miniflare }: MiniflareModule = await import(pathToFileURL(join(installed, "miniflare/dist/src/index.js")).href);
  return bundle(name, async (path) => {
    const worker = new Miniflare({
      modules: true,
      script: await readFile(path, "utf8"),
      compatibilityDate: "2026-07-01",
      compatibilityFlags: ["enable_request_signal"], // without it, a Worker does not detect a disconnect
      unsafeDirectSockets: [{ host: "127.0.0.1", port: 0 }], // without miniflare's own worker in front
      handleRuntimeStdio: () => {},
      ...options,
    });
    return { url: await worker.unsafeGetDirectURL(), stop: () => worker.dispose() };
  });
}
