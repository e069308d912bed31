import { globSync, readFileSync } from "node:fs";
import { basename } from "node:path";
import { expect, test } from "vitest";

test("every top-level file of src is a public entry, and nothing else is", () => {
  const { exports }: { exports: object } = JSON.parse(readFileSync("package.json", "utf8"));
  const entries = globSync("src/*.ts").map((path) => {
    const name = basename(path, ".ts");
    const files = { types: `./dist/${name}.d.ts`, default: `./dist/${name}.js` };
    return [name === "index" ? "." : `./${name}`, files];
  });
  expect(exports).toEqual({ ...Object.fromEntries(entries), "./package.json": "./package.json" });
});
