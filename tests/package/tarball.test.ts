import { readFileSync, readdirSync } from "node:fs";
import { basename, join } from "node:path";
import { build } from "esbuild";
import { expect, inject, test } from "vitest";
import { entries, root, run } from "./pack.ts";

const tarball = inject("tarball");
const unpacked = inject("unpacked");
const bin = join(root, "node_modules/.bin");

const comment = /\/\*[^]*?\*\//g;

/** The modules that a built file imports by name. */
function importsOf(path: string): string[] {
  const found = readFileSync(path, "utf8")
    .replaceAll(comment, "")
    .matchAll(/\b(?:from|import)\s*\(?\s*["']([^"']+)["']/g);
  return [...found].map(([, name = ""]) => name).filter((name) => !name.startsWith("."));
}

test("contains only the build and the notices", () => {
  expect(readdirSync(unpacked).sort()).toEqual(["CHANGELOG.md", "LICENSE", "README.md", "THIRD_PARTY_NOTICES.md", "dist", "package.json"]);
  const built = readdirSync(join(unpacked, "dist"));
  expect(built).toEqual(expect.arrayContaining(entries.flatMap((entry) => [basename(entry.default), basename(entry.types)])));
  expect(built.filter((name) => !/\.(?:js|js\.map|d\.ts)$/.test(name))).toEqual([]);
});

test("passes publint --strict", async () => {
  await run(join(bin, "publint"), ["run", tarball, "--strict"], root);
});

test("passes are-the-types-wrong for ESM", async () => {
  await run(join(bin, "attw"), [tarball, "--profile", "esm-only"], root);
});

test.each(entries)("$name runs on every platform: it imports no other module", async ({ default: entry }) => {
  const { metafile } = await build({
    entryPoints: [join(unpacked, entry)],
    bundle: true,
    platform: "neutral",
    format: "esm",
    packages: "external",
    metafile: true,
    write: false,
    logLevel: "silent",
  });
  const externalImports = Object.values(metafile.inputs).flatMap(({ imports }) => imports.filter(({ external }) => external));
  expect(externalImports.map(({ path }) => path)).toEqual([]);
});

test("the types import only those of openai", () => {
  const types = readdirSync(join(unpacked, "dist")).filter((name) => name.endsWith(".d.ts"));
  const externalImports = types.flatMap((name) => importsOf(join(unpacked, "dist", name)));
  expect(externalImports.filter((name) => name !== "openai" && !name.startsWith("openai/"))).toEqual([]);
});

test("every package bundled is named in the third-party notices", () => {
  const maps = readdirSync(join(unpacked, "dist")).filter((name) => name.endsWith(".js.map"));
  const sources = maps.flatMap((name): string[] => {
    const map: { sources: string[] } = JSON.parse(readFileSync(join(unpacked, "dist", name), "utf8"));
    return map.sources;
  });
  const bundled = sources.flatMap((path) => /node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(path)?.[1] ?? []);
  const notices = readFileSync(join(unpacked, "THIRD_PARTY_NOTICES.md"), "utf8");
  const named = [...notices.matchAll(/^## ([@a-z].*)$/gm)].map(([, name = ""]) => name);
  expect([...new Set(bundled)].sort()).toEqual(named.sort());
});
