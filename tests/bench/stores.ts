/**
 * `npm run bench:stores`: compares the stores with bare statements through the same client. Starts its own PostgreSQL, MariaDB and
 * Redis. Prints tables, and writes `docs/benchmark-stores.md` with its plot and its query plans.
 *
 * `--quick` takes less than a minute and writes nothing. `--only pg,redis` measures only these stores, and writes nothing either.
 */
import { mkdir, writeFile } from "node:fs/promises";
import { parseArgs } from "node:util";
import { startMysql } from "../services/mysql.ts";
import { startPostgres } from "../services/postgres.ts";
import { startRedis } from "../services/redis.ts";
import type { Service } from "../services/service.ts";
import { startChild } from "./child.ts";
import type { StorePlan, StoreResult } from "./stores/measure.ts";
import { type Measured, queryPlanPage, storePage, storePlot, storeTables } from "./stores/report.ts";
import { clientVersion, entryOf, type StoreName, subjects, type Urls } from "./stores/subjects.ts";

const { quick, only } = parseArgs({ options: { quick: { type: "boolean", default: false }, only: { type: "string" } } }).values;

const plan: StorePlan = quick
  ? { slices: { count: 3, milliseconds: 20 }, many: 2_000 }
  : { slices: { count: 30, milliseconds: 40 }, many: 100_000 };

const all = Object.keys(subjects) as StoreName[];
const chosen = all.filter((name) => only === undefined || only.split(",").includes(name));

const progress = (text: string) => console.error(`  ${text}`);

const leftOut: string[] = [];
const services: Service[] = [];
const urls: Urls = {};

/** Starts a server, if its programs are installed. */
async function start(name: keyof Urls, start: () => Promise<Service>): Promise<void> {
  try {
    const service = await start();
    services.push(service);
    urls[name] = service.url;
  } catch (error) {
    if ((error as { code?: unknown }).code !== "ENOENT") throw error;
    leftOut.push(`${name}: its server is not installed (Debian: \`postgresql\`, \`mariadb-server\`, \`redis-server\`)`);
  }
}

async function measureOne(name: StoreName): Promise<StoreResult> {
  const child = startChild<{ plan: StorePlan; url: string }, StoreResult>(new URL("./stores/worker.ts", import.meta.url), [name]);
  const { service } = entryOf(name);
  try {
    return await child.ask({ plan, url: service ? urls[service]! : "" });
  } finally {
    child.stop();
  }
}

const measured: Measured = new Map();
let failures = 0;
try {
  const needs = (name: keyof Urls) => chosen.some((one) => entryOf(one).service === name);
  if (needs("postgres")) await start("postgres", () => startPostgres());
  // Redis must not rewrite its file in the middle of a measurement.
  if (needs("mysql")) await start("mysql", () => startMysql());
  if (needs("redis")) await start("redis", () => startRedis(["--auto-aof-rewrite-percentage", "0"]));
  for (const name of chosen) {
    const { title, service } = entryOf(name);
    if (service && urls[service] === undefined) continue;
    if (clientVersion(name) === undefined) {
      leftOut.push(`${title}: not installed (npm install --prefix tests/services)`);
      continue;
    }
    progress(title);
    await measureOne(name).then(
      (result) => measured.set(name, result),
      (error: unknown) => {
        failures++;
        console.error(`${title} could not be measured:`, error);
      },
    );
  }
} finally {
  for (const service of services) await service.stop();
}

console.log(`\n${storeTables(measured, plan)}`);
for (const what of leftOut) console.log(`Left out: ${what}`);

if (failures > 0) process.exitCode = 1;
else if (!quick && only === undefined) {
  const docs = new URL("../../docs/", import.meta.url);
  await mkdir(new URL("images/", docs), { recursive: true });
  await writeFile(new URL("benchmark-stores.md", docs), storePage(measured, plan, leftOut));
  await writeFile(new URL("benchmark-query-plans.md", docs), queryPlanPage(measured));
  await writeFile(new URL("images/benchmark-stores.svg", docs), await storePlot(measured));
}
