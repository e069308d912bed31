import { defineConfig } from "vitest/config";

/** The handler in Express, Nest, Fastify and Koa. Needs `npm install --prefix tests/frameworks`. */
export default defineConfig({
  test: { include: ["tests/frameworks/**/*.test.ts"], testTimeout: 30_000, hookTimeout: 60_000, fileParallelism: false },
});
