// NOTE FROM THE LEAD (delete this line): `requires` and `replaces` are gone from the store contract, use `{ answers: promptId }` (see src/lib/store.ts, memory.ts; the SQL and Redis stores follow).
/** All that is measured: each store, through each client, as durable as it can be and less so. */
import { readFileSync } from "node:fs";
import { isBuiltin } from "node:module";
import { DatabaseSync } from "node:sqlite";
import { PGlite } from "@electric-sql/pglite";
import { Pool } from "pg";
import { installed } from "../../services/installed.ts";
import { openMemory } from "./memory.ts";
import { openPostgres } from "./postgres.ts";
import { openIoredis, openNodeRedis } from "./redis.ts";
import { openSqlite, type OpenSqlite } from "./sqlite.ts";
import type { Subject } from "./subject.ts";

/** Addresses of the servers that run. */
export type Urls = Partial<Record<"postgres" | "redis", string>>;

interface SubjectEntry {
  title: string;
  /** The server it needs. */
  service?: keyof Urls;
  /** The package, and where it is installed if not beside the library. */
  client?: { name: string; folder?: string };
  /** Whether growth is measured, too: once for each kind of store, where no disk hides it. */
  grows?: boolean;
  open(url: string): Promise<Subject>;
}

const services = new URL("../../services/node_modules/", import.meta.url);
const beside = new URL("../../../node_modules/", import.meta.url);

const openNode: OpenSqlite = (file) => new DatabaseSync(file);
const openBetter = async (): Promise<OpenSqlite> => {
  const Better = await installed<new (file: string) => ReturnType<OpenSqlite>>(new URL("better-sqlite3/lib/index.js", services).href);
  if (!Better) throw new Error("better-sqlite3 is not installed.");
  return (file) => new Better(file);
};
const better = { name: "better-sqlite3", folder: services.href };

function openPool(url: string, schema: string, settings: string): Promise<Subject> {
  const pool = new Pool({ connectionString: url, max: 16, options: settings });
  return openPostgres(pool, schema, () => pool.end(), url);
}

type PostgresJs = (
  url: string,
  options: object,
) => { unsafe(text: string, values?: (string | null)[]): Promise<unknown[]>; end(): Promise<void> };

async function openPostgresJs(url: string): Promise<Subject> {
  const postgres = await installed<PostgresJs>(new URL("postgres/src/index.js", services).href);
  if (!postgres) throw new Error("postgres.js is not installed.");
  const sql = postgres(url, { max: 16, onnotice() {} });
  const client = { query: async (text: string, values?: (string | null)[]) => ({ rows: await sql.unsafe(text, values) }) };
  return openPostgres(client, "postgres_js", () => sql.end());
}

async function openPglite(): Promise<Subject> {
  const lite = new PGlite();
  return openPostgres(lite, "pglite", () => lite.close());
}

/** In the order of the tables. */
export const subjects = {
  memory: { title: "memory", grows: true, open: openMemory },
  "sqlite-full": { title: "node:sqlite, full", client: { name: "node:sqlite" }, open: () => openSqlite(openNode, "full") },
  "sqlite-normal": {
    title: "node:sqlite, normal",
    client: { name: "node:sqlite" },
    grows: true,
    open: () => openSqlite(openNode, "normal"),
  },
  "better-full": { title: "better-sqlite3, full", client: better, open: async () => openSqlite(await openBetter(), "full") },
  "better-normal": { title: "better-sqlite3, normal", client: better, open: async () => openSqlite(await openBetter(), "normal") },
  pglite: { title: "PGlite, in memory", client: { name: "@electric-sql/pglite" }, grows: true, open: openPglite },
  pg: { title: "pg", service: "postgres", client: { name: "pg" }, open: (url) => openPool(url, "strict", "") },
  "pg-off": {
    title: "pg, commit off",
    service: "postgres",
    client: { name: "pg" },
    grows: true,
    open: (url) => openPool(url, "relaxed", "-c synchronous_commit=off"),
  },
  "postgres-js": {
    title: "postgres.js",
    service: "postgres",
    client: { name: "postgres", folder: services.href },
    open: openPostgresJs,
  },
  redis: { title: "node-redis, always", service: "redis", client: { name: "redis" }, open: (url) => openNodeRedis(url, "always") },
  "redis-everysec": {
    title: "node-redis, everysec",
    service: "redis",
    client: { name: "redis" },
    grows: true,
    open: (url) => openNodeRedis(url, "everysec"),
  },
  ioredis: { title: "ioredis, always", service: "redis", client: { name: "ioredis" }, open: (url) => openIoredis(url, "always") },
  "ioredis-everysec": {
    title: "ioredis, everysec",
    service: "redis",
    client: { name: "ioredis" },
    open: (url) => openIoredis(url, "everysec"),
  },
} satisfies Record<string, SubjectEntry>;

export type StoreName = keyof typeof subjects;

/** The same, each of one type. */
export const entryOf = (name: StoreName): SubjectEntry => subjects[name];

/** The client's name and version, or nothing where it is not installed. Empty for the store that has no client. */
export function clientVersion(name: StoreName): string | undefined {
  const { client } = entryOf(name);
  if (!client || isBuiltin(client.name)) return client?.name ?? "";
  try {
    const file = new URL(`${client.name}/package.json`, client.folder ?? beside);
    const { version } = JSON.parse(readFileSync(file, "utf8")) as { version: string };
    return `${client.name} ${version}`;
  } catch {
    return undefined;
  }
}
