import { readFile } from "node:fs/promises";
import { resolve } from "node:path";
import { afterAll, expect, test } from "vitest";
import { startWorkerd } from "./servers.ts";

const SCHEMA = await readFile(resolve(import.meta.dirname, "../../examples/stores/cloudflare-d1/schema.sql"), "utf8");
const worker = await startWorkerd("serve-d1.ts", { d1Databases: { DB: "chat" }, bindings: { SCHEMA } });
afterAll(() => worker.stop());

const ask = async (path: string): Promise<string> => (await fetch(new URL(path, worker.url))).text();
const cases: { name: string; skip?: string }[] = JSON.parse(await ask("/"));

test("the kit has cases", () => {
  expect(cases.filter(({ skip }) => skip === undefined).length).toBeGreaterThan(50);
});

for (const [number, { name, skip }] of cases.entries()) {
  test.skipIf(skip !== undefined)(`Cloudflare D1: ${name}${skip === undefined ? "" : ` (skipped: ${skip})`}`, async () => {
    expect(await ask(`/${number}`)).toBe("");
  });
}
