/** The map in CONTRIBUTING.md: its diagram is the linter's table of imports, and it names every folder of `src/lib` and `tests`. */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { resolve } from "node:path";
import { expect, test } from "vitest";
import { mayImport } from "../../oxlint.config.ts";
import { parsePage, root } from "./markdown.ts";

const { blocks, links } = parsePage("CONTRIBUTING.md", readFileSync(resolve(root, "CONTRIBUTING.md"), "utf8"));
const diagram = blocks.find(({ language }) => language === "mermaid")!.code;

/** The first segment: the diagram and the folders of tests have one name for all of `protocols`. */
const short = (folder: string) => folder.split("/")[0]!;

/** The arrows of the diagram, as `from -> to`. `a & b --> c & d` are four. */
const arrows = diagram.split("\n").flatMap((line) => {
  const [from, to] = line.replaceAll(/\[.*?\]/g, "").split("-->");
  if (from === undefined || to === undefined) return [];
  return from.split("&").flatMap((source) => to.split("&").map((target) => `${source.trim()} -> ${target.trim()}`));
});

function reachable(from: string): Set<string> {
  const found = new Set([from]);
  for (const folder of found) {
    for (const arrow of arrows) if (arrow.startsWith(`${folder} -> `)) found.add(arrow.slice(folder.length + " -> ".length));
  }
  return found;
}

test("the arrows between folders are the imports that the linter allows", () => {
  const drawn = arrows.filter((arrow) => !arrow.startsWith("entries ") && !arrow.endsWith(" core"));
  const allowed = Object.entries(mayImport).flatMap(([folder, others]) => others.map((other) => `${short(folder)} -> ${short(other)}`));
  expect(drawn.sort()).toEqual(allowed.filter((arrow) => !arrow.endsWith(" core")).sort());
});

test("an arrow or a row of arrows leads from the entries to every folder, and on to core if the folder may import it", () => {
  const folders = Object.keys(mayImport);
  expect([...reachable("entries")].sort()).toEqual(["entries", ...folders.map(short)].sort());
  const reachesCore = folders.filter((folder) => folder !== "core" && reachable(short(folder)).has("core"));
  expect(reachesCore).toEqual(folders.filter((folder) => mayImport[folder]!.includes("core")));
});

test("the folders that the table allows are imported", () => {
  for (const [folder, others] of Object.entries(mayImport)) {
    const files = readdirSync(resolve(root, "src/lib", folder), { recursive: true, encoding: "utf8" }).filter((path) =>
      path.endsWith(".ts"),
    );
    const sources = files.map((path) => readFileSync(resolve(root, "src/lib", folder, path), "utf8")).join("\n");
    expect(others.filter((other) => !sources.includes(`../${other}/`))).toEqual([]);
  }
});

const linked = (folder: string) =>
  links.flatMap(({ target }) => (target.startsWith(`${folder}/`) ? [target.slice(folder.length + 1)] : []));
const directories = (folder: string) =>
  readdirSync(resolve(root, folder), { withFileTypes: true }).flatMap((entry) => (entry.isDirectory() ? [entry.name] : []));

test("the map has every folder of src/lib", () => {
  expect(directories("src/lib").filter((name) => !linked("src/lib").includes(name))).toEqual([]);
  expect([...new Set(Object.keys(mayImport).map(short))].sort()).toEqual(directories("src/lib").sort());
});

test("the map has every folder of tests: those of src/lib, and the others by name", () => {
  const others = directories("tests").filter((name) => !existsSync(resolve(root, "src/lib", name)));
  expect(others.filter((name) => !linked("tests").includes(name))).toEqual([]);
  const untested = directories("src/lib").filter((name) => !existsSync(resolve(root, "tests", name)));
  expect(untested.sort()).toEqual(["redis-client", "sql"]); // as the map says
});
