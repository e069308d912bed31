/** The subjects of the benchmark: each store through each client, with full and with relaxed durability. */
import { readFileSync } from "node:fs";
import { isBuiltin } from "node:module";
import { installed } from "../../services/installed.ts";
import { openMemory } from "./memory.ts";
import type { Sync } from "./redis.ts";
import type { OpenSqlite } from "./sqlite.ts";
import type { Subject } from "./subject.ts";

/** URLs of the running servers. */
export type Urls = Partial<Record<"postgres" | "mysql" | "redis", string>>;

interface SubjectEntry {
  title: string;
  /** The server it needs. */
  service?: keyof Urls;
  /** The package, and its folder if it is not installed with the library. */
  client?: { name: string; folder?: string };
  /** Whether growth is measured, too: once for each kind of store, with a configuration without disk syncs. */
  grows?: boolean;
  open(url: string): Promise<Subject>;
}

const services = new URL("../../services/node_modules/", import.meta.url);
const beside = new URL("../../../node_modules/", import.meta.url);
const better = { name: "better-sqlite3", folder: services.href };

// Clients are loaded only in the process that measures them.
type Synchronous = "full" | "normal";

async function openNode(synchronous: Synchronous): Promise<Subject> {
  const [{ openSqlite }, { DatabaseSync }] = await Promise.all([import("./sqlite.ts"), import("node:sqlite")]);
  return openSqlite((file) => new DatabaseSync(file), synchronous);
}

async function openBetter(synchronous: Synchronous): Promise<Subject> {
  const { openSqlite } = await import("./sqlite.ts");
  const Better = await installed<new (file: string) => ReturnType<OpenSqlite>>(new URL("better-sqlite3/lib/index.js", services).href);
  if (!Better) throw new Error("better-sqlite3 is not installed.");
  return openSqlite((file) => new Better(file), synchronous);
}

async function openPglite(): Promise<Subject> {
  const [{ openPostgres }, { PGlite }] = await Promise.all([import("./postgres.ts"), import("@electric-sql/pglite")]);
  const lite = new PGlite();
  return openPostgres(lite, "pglite", () => lite.close());
}

async function openPool(url: string, schema: string, settings: string): Promise<Subject> {
  const [{ openPostgres }, { Pool }] = await Promise.all([import("./postgres.ts"), import("pg")]);
  const pool = new Pool({ connectionString: url, max: 16, options: settings });
  return openPostgres(pool, schema, () => pool.end(), url);
}

type PostgresJs = (
  url: string,
  options: object,
) => { unsafe(text: string, values?: (string | null)[]): Promise<unknown[]>; end(): Promise<void> };

async function openPostgresJs(url: string): Promise<Subject> {
  const { openPostgres } = await import("./postgres.ts");
  const postgres = await installed<PostgresJs>(new URL("postgres/src/index.js", services).href);
  if (!postgres) throw new Error("postgres.js is not installed.");
  const sql = postgres(url, { max: 16, onnotice() {} });
  const client = { query: async (text: string, values?: (string | null)[]) => ({ rows: await sql.unsafe(text, values) }) };
  return openPostgres(client, "postgres_js", () => sql.end());
}

async function openMysqlPool(uri: string, flush: 0 | 1): Promise<Subject> {
  const [{ openMysql }, { createPool }] = await Promise.all([import("./mysql.ts"), import("mysql2/promise")]);
  return openMysql(createPool({ uri, connectionLimit: 16 }), flush);
}

const openRedis = async (url: string, sync: Sync) => (await import("./redis.ts")).openNodeRedis(url, sync);
const openIoredis = async (url: string, sync: Sync) => (await import("./redis.ts")).openIoredis(url, sync);

/** In the order of the tables. */
export const subjects = {
  memory: { title: "memory", grows: true, open: openMemory },
  "sqlite-full": { title: "node:sqlite, full", client: { name: "node:sqlite" }, open: () => openNode("full") },
  "sqlite-normal": {
    title: "node:sqlite, normal",
    client: { name: "node:sqlite" },
    grows: true,
    open: () => openNode("normal"),
  },
  "better-full": { title: "better-sqlite3, full", client: better, open: () => openBetter("full") },
  "better-normal": { title: "better-sqlite3, normal", client: better, open: () => openBetter("normal") },
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
  mysql2: { title: "mysql2", service: "mysql", client: { name: "mysql2" }, open: (url) => openMysqlPool(url, 1) },
  "mysql2-off": {
    title: "mysql2, flush off",
    service: "mysql",
    client: { name: "mysql2" },
    grows: true,
    open: (url) => openMysqlPool(url, 0),
  },
  redis: { title: "node-redis, always", service: "redis", client: { name: "redis" }, open: (url) => openRedis(url, "always") },
  "redis-everysec": {
    title: "node-redis, everysec",
    service: "redis",
    client: { name: "redis" },
    grows: true,
    open: (url) => openRedis(url, "everysec"),
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

/** Returns a subject by its name. */
export const entryOf = (name: StoreName): SubjectEntry => subjects[name];

/** The client's name and version, or `undefined` if it is not installed. Empty for the memory store, which has no client. */
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
