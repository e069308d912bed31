import { globSync } from "node:fs";
import { defineConfig } from "tsup";

/** Every top-level file of src is one public entry; what they share stays private. */
export default defineConfig({
  entry: globSync("src/*.ts"),
  format: "esm",
  platform: "neutral", // a Node built-in in an entry for every platform fails its package test
  target: "es2022",
  external: [/^node:/],
  removeNodeProtocol: false, // `node:sqlite` has no other name
  dts: true,
  sourcemap: true,
  clean: true,
  tsconfig: "tsconfig.build.json",
});
