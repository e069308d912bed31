/** The example store over Prisma. Its client is generated code, so the example is copied beside the packages, generated and compiled there. */
import { execFileSync } from "node:child_process";
import { randomUUID } from "node:crypto";
import { cpSync, existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { Pool } from "pg";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { MessageStore } from "../../src/index.ts";
import { testMessageStore } from "../../src/testkit.ts";
import { describeWith, remedyFor } from "../services/include.ts";

const root = resolve(import.meta.dirname, "../..");
const packages = join(root, "tests/services/node_modules");
const folder = join(root, "tests/services/.prisma");
const connectionString = process.env.DATABASE_URL ?? "";

const isInstalled = existsSync(join(packages, "prisma/build/index.js"));
const remedy = isInstalled ? remedyFor("DATABASE_URL") : "npm install --prefix tests/services";

interface Client {
  $disconnect(): Promise<void>;
}
interface Generated {
  PrismaClient: new (options: { adapter: unknown }) => Client;
}
interface Adapter {
  PrismaPg: new (pool: object, options: { schema: string }) => unknown;
}

describeWith(
  "Prisma over PostgreSQL",
  isInstalled && connectionString !== "",
  remedy,
)("Prisma", () => {
  let createStore: (client: Client) => MessageStore;
  let generated: Generated;
  let adapter: Adapter;

  beforeAll(async () => {
    mkdirSync(folder, { recursive: true });
    cpSync(join(root, "examples/stores/prisma"), folder, { recursive: true });
    writeFileSync(join(folder, "package.json"), `{ "type": "module" }`);
    // The client needs no engine. The command looks for one all the same, which only migrations need: it gets a program that does nothing.
    const env = { ...process.env, PRISMA_SCHEMA_ENGINE_BINARY: "/bin/true", CHECKPOINT_DISABLE: "1" };
    const prisma = join(packages, "prisma/build/index.js");
    execFileSync(process.execPath, [prisma, "generate", "--schema", "schema.prisma"], { cwd: folder, env, stdio: "pipe" });
    ({ createPrismaStore: createStore } = await import(join(folder, "store.ts")));
    generated = await import(join(folder, "generated/client.ts"));
    adapter = await import(join(packages, "@prisma/adapter-pg/dist/index.mjs"));
  }, 60_000);

  test("the example compiles", { timeout: 60_000 }, () => {
    const paths = { "chat-handler": [join(root, "src/index.ts")] };
    const compilerOptions = { paths, noEmit: true, typeRoots: [join(root, "node_modules/@types")] };
    const config = { extends: join(root, "tsconfig.json"), compilerOptions, include: ["store.ts"], exclude: [] };
    writeFileSync(join(folder, "tsconfig.json"), JSON.stringify(config));
    const tsc = join(root, "node_modules/typescript/bin/tsc");
    expect(() => execFileSync(process.execPath, [tsc, "-p", folder], { stdio: "pipe", encoding: "utf8" })).not.toThrow();
  });

  const migration = readFileSync(join(root, "examples/stores/prisma/migration.sql"), "utf8");
  const schemas: string[] = [];

  function openStore(schema: string) {
    const client = new generated.PrismaClient({ adapter: new adapter.PrismaPg({ connectionString, max: 5 }, { schema }) });
    return { ...createStore(client), schema, close: () => client.$disconnect() };
  }

  testMessageStore(
    "Prisma over PostgreSQL",
    {
      threads: false,
      async create() {
        const schema = `test_${randomUUID().replaceAll("-", "").slice(0, 30)}`;
        schemas.push(schema);
        const admin = new Pool({ connectionString, max: 1, options: `-c search_path=${schema}` });
        await admin.query(`CREATE SCHEMA ${schema}; ${migration}`);
        await admin.end();
        return openStore(schema);
      },
      peer: async ({ schema }) => openStore(schema),
      async reopen({ schema, close }) {
        await close();
        return openStore(schema);
      },
      destroy: ({ close }) => close(),
    },
    { test },
  );

  afterAll(async () => {
    const admin = new Pool({ connectionString, max: 1 });
    for (const schema of schemas) await admin.query(`DROP SCHEMA ${schema} CASCADE`);
    await admin.end();
  }, 120_000);
});
