import { execFile } from "node:child_process";
import { copyFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { expect, test } from "vitest";
import { bundle, installed, programs } from "./servers.ts";

function runProgram(file: string, args: readonly string[]): Promise<string> {
  return new Promise((resolve) => {
    execFile(file, args, (error, stdout, stderr) => resolve(`${stdout}${stderr}\nexit ${error?.code ?? 0}`));
  });
}

test("the memory store passes the kit under node:test", { timeout: 120_000 }, async () => {
  const printed = await bundle("kit-node.ts", (path) => runProgram(process.execPath, ["--test", path]));
  expect(Number(/^# pass (\d+)$|^ℹ pass (\d+)$/m.exec(printed)?.slice(1).find(Boolean))).toBeGreaterThan(50);
  expect(printed).toMatch(/^(?:#|ℹ) fail 0$/m);
  expect(printed).toMatch(/\nexit 0$/);
});

test("the memory store and bun:sqlite pass the kit under bun test", { timeout: 120_000 }, async () => {
  const printed = await bundle("kit-bun.ts", async (path) => {
    const named = path.replace(/\.mjs$/, ".test.mjs"); // the name bun looks for
    await copyFile(path, named);
    return runProgram(programs.bun(named).file, ["test", named]);
  });
  expect(Number(/^ (\d+) pass$/m.exec(printed)?.[1])).toBeGreaterThan(100);
  expect(printed).toMatch(/^ 0 fail$/m);
  expect(printed).toMatch(/\nexit 0$/);
});

test("the memory store passes the kit under jest", { timeout: 120_000 }, async () => {
  const printed = await bundle("kit-jest.ts", (path) => {
    const config = { rootDir: dirname(path), testMatch: [path], transform: {} };
    return runProgram(process.execPath, [
      "--experimental-vm-modules",
      join(installed, "jest/bin/jest.js"),
      "--ci",
      "--config",
      JSON.stringify(config),
    ]);
  });
  expect(Number(/^Tests: .*?(\d+) passed/m.exec(printed)?.[1])).toBeGreaterThan(50);
  expect(printed).not.toMatch(/^Tests: .*failed/m);
  expect(printed).toMatch(/\nexit 0$/);
});
