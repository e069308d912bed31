/** Packs the tarball once for all package tests, like `npm publish`. */
import { execFile } from "node:child_process";
import { readFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import type { TestProject } from "vitest/node";

declare module "vitest" {
  interface ProvidedContext {
    /** Path of the packed tarball. */
    tarball: string;
    /** The folder with its files. */
    unpacked: string;
  }
}

export const root = resolve(import.meta.dirname, "../..");

/** The public entries: import name and built files. */
export const entries = publicEntries();

function publicEntries(): { name: string; types: string; default: string }[] {
  const { exports }: { exports: Record<string, string | { types: string; default: string }> } = JSON.parse(
    readFileSync(join(root, "package.json"), "utf8"),
  );
  return Object.entries(exports).flatMap(([name, files]) => (typeof files === "object" ? [{ name, ...files }] : []));
}

/** Runs a program. Resolves to its output, and rejects with it if the program fails. */
export function run(file: string, args: readonly string[], cwd: string): Promise<string> {
  return new Promise((resolve, reject) => {
    execFile(file, args, { cwd, maxBuffer: 64e6 }, (error, stdout, stderr) => {
      if (error === null) resolve(stdout + stderr);
      else reject(new Error(`${file} ${args.join(" ")} failed in ${cwd}\n${stdout}${stderr}`));
    });
  });
}

/** vitest's global setup. */
export async function setup(project: TestProject): Promise<() => Promise<void>> {
  const folder = await mkdtemp(join(tmpdir(), "chat-handler-tarball-"));
  const printed = await run("npm", ["pack", "--json", "--pack-destination", folder], root);
  const name = /"filename":\s*"([^"]+)"/.exec(printed)?.[1];
  if (name === undefined) throw new Error(`npm pack named no file:\n${printed}`);
  await run("tar", ["-xzf", name], folder);
  project.provide("tarball", join(folder, name));
  project.provide("unpacked", join(folder, "package"));
  return () => rm(folder, { recursive: true });
}
