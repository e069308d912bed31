import { defineConfig } from "vitest/config";

/** The demo in a real browser. Needs Chromium: at /usr/bin/chromium, or where CHROMIUM says. */
export default defineConfig({
  test: { include: ["tests/browser/**/*.test.ts"], testTimeout: 300_000, hookTimeout: 180_000 },
});
