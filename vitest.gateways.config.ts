import { defineConfig } from "vitest/config";

/** The handler behind a real gateway. Needs `npm install --prefix tests/gateways`. */
export default defineConfig({
  test: { include: ["tests/gateways/**/*.test.ts"], testTimeout: 30_000, hookTimeout: 60_000, fileParallelism: false },
});
