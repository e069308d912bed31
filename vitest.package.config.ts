import { defineConfig } from "vitest/config";

/** The packed tarball as its users meet it. Installs packages from the registry. */
export default defineConfig({
  test: {
    include: ["tests/package/**/*.test.ts"],
    globalSetup: "tests/package/pack.ts",
    testTimeout: 120_000,
    hookTimeout: 300_000,
    fileParallelism: false,
  },
});
