import { defineConfig } from "vitest/config";

/** The demo in a real browser, one at a time: each start of it builds the package. Needs Chromium: at /usr/bin/chromium, or where CHROMIUM says. */
export default defineConfig({
  test: { include: ["tests/browser/**/*.test.ts"], testTimeout: 300_000, hookTimeout: 180_000, fileParallelism: false },
});
