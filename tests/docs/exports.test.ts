import { globSync, readFileSync } from "node:fs";
import { basename } from "node:path";
import { expect, test } from "vitest";

const names = globSync("src/*.ts").map((path) => basename(path, ".ts"));

test("every top-level file of src is a public entry, and nothing else is", () => {
  const { exports }: { exports: object } = JSON.parse(readFileSync("package.json", "utf8"));
  const entries = names.map((name) => {
    const files = { types: `./dist/${name}.d.ts`, default: `./dist/${name}.js` };
    return [name === "index" ? "." : `./${name}`, files];
  });
  expect(exports).toEqual({ ...Object.fromEntries(entries), "./package.json": "./package.json" });
});

test("every public entry has a budget for its size", () => {
  const budgets: { path: string }[] = JSON.parse(readFileSync(".size-limit.json", "utf8"));
  expect(budgets.map(({ path }) => path).sort()).toEqual(names.map((name) => `dist/${name}.js`).sort());
});
