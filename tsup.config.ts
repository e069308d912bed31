import { globSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { defineConfig } from "tsup";

/** Every top-level file of src is one public entry; what they share stays private. */
export default defineConfig(({ dts = true }) => ({
  entry: globSync("src/*.ts"),
  format: "esm",
  platform: "neutral", // a Node built-in in an entry for every platform fails its package test
  target: "es2022",
  removeNodeProtocol: false, // `node:sqlite` has no other name
  dts,
  sourcemap: true,
  clean: dts !== false, // a quick build goes over the files of the last, for a server may be running on them
  tsconfig: "tsconfig.build.json",
  esbuildPlugins: [
    {
      // Importing a built-in has no effect, so an import that nothing uses is left out.
      name: "built-ins-without-side-effects",
      setup({ onResolve }) {
        onResolve({ filter: /^node:/ }, ({ path }) => ({ path, external: true, sideEffects: false }));
      },
    },
    {
      // CommonJS with one export: without the lines about `exports` it needs no wrapper, which would be bigger than the function.
      name: "transform-stream-as-module",
      setup({ onLoad }) {
        onLoad({ filter: /@crayonai\/stream\/dist\/utils\.js$/ }, async ({ path }) => ({
          contents: (await readFile(path, "utf8")).replace(/^.*\bexports\b.*$/gm, "") + "\nexport { transformStream };",
        }));
      },
    },
  ],
}));
