/** A hostile owner beside honest ones, in a process with little memory. */
import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { expect, it } from "vitest";

interface Received {
  /** How long the honest owners waited for their first answers, in milliseconds. */
  waited: number;
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
  const { waited, honest, later, stored, held } = JSON.parse(stdout) as Received;
  const owners = Array.from({ length: 50 }, (_, index) => index);
  expect(honest).toEqual(owners.map((index) => `Hello ${index}`));
  expect(later).toEqual(owners.map((index) => `Hello ${index} again`));
  expect(stored).toEqual(owners.map(() => 4));
  // 0.2 s on a machine that does nothing else.
  expect(waited).toBeLessThan(5_000);
  expect(held).toBeGreaterThan(100);
});
