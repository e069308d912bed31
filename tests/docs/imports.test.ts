/** The linter enforces which folder of `src/lib` may import which. */
import { spawnSync } from "node:child_process";
import { copyFileSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { expect, onTestFinished, test } from "vitest";

const root = resolve(import.meta.dirname, "../..");

/** Lints a tree of these files with the project's configuration. Returns `file:line rule` of each finding. */
function lint(files: Record<string, string[]>): { findings: string[]; output: string } {
  const folder = mkdtempSync(join(tmpdir(), "imports-"));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  for (const name of ["oxlint.config.ts", "tsconfig.json", "package.json"]) copyFileSync(join(root, name), join(folder, name));
  symlinkSync(join(root, "node_modules"), join(folder, "node_modules"));
  for (const [path, lines] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, path)), { recursive: true });
    writeFileSync(join(folder, path), lines.join("\n"));
  }
  // Only `src`: without a .gitignore the linter would walk through node_modules.
  const command = [join(root, "node_modules/oxlint/bin/oxlint"), "--format=unix", "src"];
  const { stdout, stderr } = spawnSync(process.execPath, command, { cwd: folder, encoding: "utf8", timeout: 15_000 });
  const found = stdout.matchAll(/^(?:\.\/)?(src\/.+?):(\d+):\d+: .*\[\w+\/\w+\((.+)\)\]$/gm);
  return { findings: [...found].map(([, file, line, rule]) => `${file}:${line} ${rule}`).sort(), output: stdout + stderr };
}

test("an import against the direction is an error, in every form", () => {
  const { findings } = lint({
    "src/lib/core/limits.ts": ["export const limits = 1;"],
    "src/lib/turn/turn.ts": ["export interface Turn {", "  id: string;", "}"],
    "src/lib/model/call.ts": [
      'import type { Turn } from "../turn/turn.ts";',
      'export type { Turn as Again } from "../turn/turn.ts";',
      'export * from "../turn/turn.ts";',
      'export const later = import("../turn/turn.ts");',
      'export type Inline = import("../turn/turn.ts").Turn;',
      'export { limits } from "../core/limits.ts";',
      'export * from "../../index.ts";',
      'export * from "chat-handler";',
      'export * from "@crayonai/stream/dist/utils.js";',
      "export type Call = Turn;",
    ],
    "src/index.ts": ['export type { Turn } from "./lib/turn/turn.ts";', 'export * from "./tools.ts";'],
    "src/tools.ts": ["export const tool = 1;"],
  });
  const lines = [1, 2, 3, 4, 7, 8, 9].map((line) => `src/lib/model/call.ts:${line} no-restricted-imports`);
  expect(findings).toEqual([
    "src/index.ts:2 no-restricted-imports",
    ...lines.slice(0, 4),
    "src/lib/model/call.ts:5 consistent-type-imports",
    ...lines.slice(4),
  ]);
});

test("a circle of type-only imports is an error", () => {
  const { findings } = lint({
    "src/lib/history/a.ts": ['import type { B } from "./b.ts";', "export type A = { b: B };"],
    "src/lib/history/b.ts": ['import type { A } from "./a.ts";', "export type B = { a: A };"],
  });
  expect(findings).toEqual(["src/lib/history/a.ts:1 no-cycle", "src/lib/history/b.ts:1 no-cycle"]);
});

test("a folder that the table does not list is an error", () => {
  const { output } = lint({ "src/lib/misc/a.ts": ["export const a = 1;"] });
  expect(output).toContain("src/lib/misc/a.ts is in a folder that oxlint.config.ts does not list");
});
