/** A hostile owner beside honest ones, in a process with little memory. */
import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { expect, it } from "vitest";

interface Received {
  honest: string[];
  later: string[];
  /** How many messages each honest owner has. */
  stored: number[];
  /** How many responses the hostile owner holds without reading them. */
  held: number;
}

it("200 hostile streams change nothing for 50 honest ones in a heap of 256 MB", { timeout: 120_000 }, async () => {
  const file = fileURLToPath(new URL("hostile-load.ts", import.meta.url));
  const { stdout } = await promisify(execFile)(process.execPath, ["--no-warnings", "--max-old-space-size=256", file]);
  const { honest, later, stored, held } = JSON.parse(stdout) as Received;
  const owners = Array.from({ length: 50 }, (_, index) => index);
  expect(honest).toEqual(owners.map((index) => `Hello ${index}`));
  expect(later).toEqual(owners.map((index) => `Hello ${index} again`));
  expect(stored).toEqual(owners.map(() => 4));
  expect(held).toBeGreaterThan(100);
});
