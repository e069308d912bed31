import { fileURLToPath } from "node:url";
import { defineConfig } from "vitest/config";

/** Tests read the sources, under the names the package is published with. */
export const sources = [
  { find: /^chat-handler$/, replacement: fileURLToPath(new URL("./src/index.ts", import.meta.url)) },
  { find: /^chat-handler\/(.+)$/, replacement: fileURLToPath(new URL("./src/$1.ts", import.meta.url)) },
];

/** What has a command of its own: slow, or in need of a browser, a server or another runtime. */
const elsewhere = ["package", "runtimes", "frameworks", "gateways", "browser", "examples", ...(process.env.FAULTS ? [] : ["faults"])];

export default defineConfig({
  resolve: { alias: sources },
  test: {
    include: ["tests/**/*.test.ts"],
    exclude: ["**/node_modules/**", ...elsewhere.map((folder) => `tests/${folder}/**`)],
    // On a busy machine everything takes long. What hangs fails after a minute.
    testTimeout: 60_000,
    hookTimeout: 60_000,
    coverage: { include: ["src/**"], reporter: ["text", "html"] },
  },
});
