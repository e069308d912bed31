import { defineConfig } from "vitest/config";

/** The built package on other runtimes. Needs `npm run build` and `npm install --prefix tests/runtimes`. */
export default defineConfig({
  test: { include: ["tests/runtimes/**/*.test.ts"], testTimeout: 60_000, hookTimeout: 60_000, fileParallelism: false },
});
