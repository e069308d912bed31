/** Bundles the page when the server starts, and serves it from memory. There is no build step, and nothing is loaded from another host. */
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

/** A file of the page. */
export interface Asset {
  body: Uint8Array<ArrayBuffer>;
  type: string;
}

const types: Record<string, string> = { js: "text/javascript", css: "text/css", svg: "image/svg+xml", woff2: "font/woff2" };

/** The files by their path, such as `/assets/page.js`. */
export async function bundlePage(): Promise<Map<string, Asset>> {
  const { outputFiles } = await build({
    entryPoints: ["page.tsx", "style.css", "logo.svg"].map((file) => fileURLToPath(new URL(file, import.meta.url))),
    outdir: "/assets",
    write: false,
    bundle: true,
    splitting: true, // loads icons and diagrams only when an answer uses them
    format: "esm",
    jsx: "automatic",
    minify: true,
    define: { "process.env.NODE_ENV": '"production"' },
    loader: { ".svg": "copy", ".woff2": "file", ".woff": "empty", ".ttf": "empty" }, // one font format is enough
    logLevel: "warning",
  });
  return new Map(
    outputFiles.map(({ path, contents }) => {
      const type = types[path.slice(path.lastIndexOf(".") + 1)] ?? "application/octet-stream";
      return [path, { body: new Uint8Array(contents), type }];
    }),
  );
}
