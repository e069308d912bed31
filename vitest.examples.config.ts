import { defineConfig } from "vitest/config";

/** The examples, installed with the packed tarball, built and started as in production. Installs packages from the registry. */
export default defineConfig({
  test: {
    include: ["tests/examples/**/*.test.ts"],
    globalSetup: "tests/package/pack.ts",
    testTimeout: 60_000,
    hookTimeout: 600_000,
    fileParallelism: false,
    env: { NEXT_TELEMETRY_DISABLED: "1" },
  },
});
