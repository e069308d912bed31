/** The measurements as the page `docs/benchmark-stores.md`, its plot, and its appendix `docs/benchmark-query-plans.md`. */
import { cpus } from "node:os";
import { table } from "../markdown.ts";
import { type Panel, plot } from "../plot.ts";
import { median, medianRatio } from "../statistics.ts";
import { count, isReached, type Target } from "../targets.ts";
import type { Growth, Operation, StorePlan, StoreResult } from "./measure.ts";
import type { Timed } from "./slices.ts";
import { clientVersion, entryOf, type StoreName } from "./subjects.ts";

/** All results of a run. */
export type Measured = Map<StoreName, StoreResult>;

const operations: Record<Operation, string> = {
  append: "Appending a message, one at a time",
  append16: "Appending a message, 16 at a time",
  answer: "Appending an answer, one at a time",
  read: "Reading the last 50 messages, one at a time",
};

const growths: Record<Growth, string> = {
  read: "reading the last 50 of a thread",
  append: "appending to a thread",
  page: "a page of 100 threads of an owner",
  activity: "appending to a thread of an owner",
};

const leastRatio = 0.5;
const mostGrowth = 1.5;

const keys = <Key extends string>(record: Record<Key, unknown>) => Object.keys(record) as Key[];
/** Formats 12345 as `12.3K`. */
const short = (value: number) => value.toLocaleString("en-US", { notation: "compact", maximumSignificantDigits: 3 });
const ratio = (value: number) => `${value.toFixed(2)}×`;
const time = (milliseconds: number) =>
  milliseconds < 1 ? `${(1000 * milliseconds).toFixed(milliseconds < 0.01 ? 1 : 0)} µs` : `${milliseconds.toFixed(2)} ms`;
const rate = ({ rates }: Timed) => count(Math.round(median(rates)));

const toBare = ({ operations }: StoreResult, name: Operation) => medianRatio(operations[name].ours.rates, operations[name].bare.rates);
const cost = (growth: NonNullable<StoreResult["growth"]>, name: Growth) => medianRatio(growth[name].few.rates, growth[name].many.rates);

/** Every target with its measured value. */
function storeTargets(measured: Measured): Target[] {
  return [...measured].flatMap(([name, result]) => {
    const { title } = entryOf(name);
    const least = keys(operations).map((operation): Target => {
      return { what: operations[operation], where: title, ratio: toBare(result, operation), bound: leastRatio, isMost: false };
    });
    const { growth } = result;
    if (!growth) return least;
    const most = (["read", "page"] as const).map((name): Target => {
      return { what: growths[name], where: title, ratio: cost(growth, name), bound: mostGrowth, isMost: true };
    });
    return [...least, ...most];
  });
}

function verdict(measured: Measured): string {
  const targets = storeTargets(measured);
  const missed = targets.filter((target) => !isReached(target));
  const reached = `${targets.length - missed.length} of ${targets.length} targets reached.`;
  if (missed.length === 0) return reached;
  const rows = missed.map(({ what, where, ratio: value, bound, isMost }) => [
    what,
    where,
    `${isMost ? "≤" : "≥"} ${ratio(bound)}`,
    ratio(value),
  ]);
  return `**${reached} Missed:**\n\n${table(["ratio", "store", "target", "measured"], rows)}`;
}

const operationTable = (measured: Measured, operation: Operation) =>
  table(
    ["", "per second", "bare", "ratio", "p50", "p99", "bare p50", "bare p99"],
    [...measured].map(([name, result]) => {
      const { ours, bare } = result.operations[operation];
      const latencies = [ours.p50, ours.p99, bare.p50, bare.p99].map(time);
      return [entryOf(name).title, rate(ours), rate(bare), ratio(toBare(result, operation)), ...latencies];
    }),
  );

const callsTable = (measured: Measured) =>
  table(
    ["client calls", "append", "last 50", "page of threads", "plain turn", "turn's three store calls, p50", "p99"],
    [...measured]
      .filter(([name]) => name !== "memory")
      .map(([name, { calls, turn }]) => [
        entryOf(name).title,
        ...[calls.append, calls.read, calls.page, calls.turn].map(String),
        time(turn.p50),
        time(turn.p99),
      ]),
  );

const growing = (measured: Measured) =>
  [...measured].flatMap(([name, { growth }]) => (growth ? [{ title: entryOf(name).title, growth }] : []));

const growthTable = (measured: Measured, many: number) =>
  table(
    [`p50 at 100 and at ${count(many)}`, ...keys(growths).map((name) => growths[name])],
    growing(measured).map(({ title, growth }) => [
      title,
      ...keys(growths).map((name) => `${time(growth[name].few.p50)}, ${time(growth[name].many.p50)} (${ratio(cost(growth, name))})`),
    ]),
  );

/** Only the tables, for the terminal. */
export const storeTables = (measured: Measured, { many }: StorePlan): string =>
  [
    ...keys(operations).map((operation) => `${operations[operation]}\n\n${operationTable(measured, operation)}`),
    callsTable(measured),
    growthTable(measured, many),
    verdict(measured),
  ].join("\n\n");

/** The page for the docs. `leftOut` lists the stores that were not measured, with the reason. */
export function storePage(measured: Measured, { many }: StorePlan, leftOut: readonly string[]): string {
  const versions = new Set(
    [...measured].flatMap(([name, { versions }]) => versions.map((version) => `${clientVersion(name)} on ${version}`)),
  );
  return `# What a store costs

\`npm run bench:stores\` wrote this page and measured everything on it in one run, on ${cpus().length} cores of
${cpus()[0]?.model.trim() ?? "an unknown processor"}, servers and client on the same machine: Node ${process.versions.node},
${[...versions].join(", ")}.
Single times depend on the machine, above all on how long its disk takes to sync. The ratios are reliable: store and bare statements
take turns in slices of a fraction of a second, and each ratio is the median of the ratios of neighboring slices.

![Rates of the stores and of bare statements, and their growth](images/benchmark-stores.svg)

The **bare statements** are what you would write by hand, through the same client and with the same durability. They store each message
once by its id and in order, create or touch its thread, and index the thread by its latest activity. They store an answer only if its
prompt exists, and replace a partial answer but never a complete one. In SQLite that is a transaction of two or three statements, in
PostgreSQL one statement, in MariaDB a procedure, in Redis a script. A read selects the bodies and parses them. Threads have one id and no owner.

- **node:sqlite** and **better-sqlite3**: a file in WAL mode, with \`synchronous\` full (the store's default) or normal.
- **PGlite**: in this process, in memory and not durable.
- **pg** and **postgres.js**: a pool of 16 connections to a server with default settings; *commit off* is \`synchronous_commit = off\`.
- **mysql2**: a pool of 16 connections to a MariaDB with default settings; *flush off* is \`innodb_flush_log_at_trx_commit = 0\`.
- **node-redis** and **ioredis**: \`appendonly yes\` with \`appendfsync\` always or everysec.
- **memory**: has no client. It is compared with a map of arrays of JSON texts.
${leftOut.map((what) => `\nLeft out: ${what}\n`).join("")}
## Targets

At least half of the rate of the bare statements, and at most ${ratio(mostGrowth)} the cost with a thousand times as much data.

${verdict(measured)}

## Rates and latency

Messages have 500 characters of text. With 16 at a time, each goes to its own thread.

${keys(operations)
  .map((operation) => `### ${operations[operation]}\n\n${operationTable(measured, operation)}`)
  .join("\n\n")}

## Round trips

The number of calls that the store makes to its client. With PostgreSQL and Redis each call is a round trip to the server. With SQLite
it is a statement in this process. The turn is a real one through \`createChatHandler\`. It reads the last 100 messages, stores the prompt
and stores the answer. Its time is the time of these three calls in sequence.

${callsTable(measured)}

## Growth

The same calls with little and with much data: a thread of 100 messages and one of ${count(many)}, an owner of 100
threads and one of ${count(many)}. Each store is configured so that disk syncs do not hide the difference.
The short thread stays below a thousand messages while it is appended to.

${growthTable(measured, many)}

## Query plans

Every query of the SQL stores uses an index: the rows and pages that it reads do not grow with the thread or with the number of threads.
[Query plans of the stores](benchmark-query-plans.md) shows the plans of this run.
`;
}

/** The appendix of the page. */
export function queryPlanPage(measured: Measured): string {
  const plans = [...measured].flatMap(([name, { plans }]) =>
    plans.length > 0 ? [`## ${entryOf(name).title}`, ...plans.map(planBlock)] : [],
  );
  return `# Query plans of the stores

An appendix to [what a store costs](benchmark-stores.md), which the same run of \`npm run bench:stores\` wrote.

SQLite shows its plan for each statement of the store. It keeps no statistics, so the plan does not depend on the data. PostgreSQL shows
what it did within the store's functions (\`auto_explain\`, like \`EXPLAIN (ANALYZE, BUFFERS)\`). MariaDB does not explain statements within
procedures, but counts the rows that they read. Rows and pages do not grow with the thread or with the number of threads.

${plans.join("\n\n")}
`;
}

const capitalized = (text: string) => `${text[0]!.toUpperCase()}${text.slice(1)}`;

const planBlock = ({ title, text }: { title: string; text: string }) => `${capitalized(title)}:\n\n\`\`\`text\n${text}\n\`\`\``;

/** The plot of the page. */
export function storePlot(measured: Measured): Promise<string> {
  const panels: Panel[] = [];
  for (const operation of keys(operations)) {
    const bars = [...measured].map(([name, result]) => {
      const value = toBare(result, operation);
      return {
        label: entryOf(name).title,
        value,
        text: `${ratio(value)}, ${short(median(result.operations[operation].ours.rates))}`,
        isOurs: true,
      };
    });
    panels.push({
      title: `${operations[operation]} (ratio to bare statements, calls per second)`,
      bars: [{ label: "bare statements", value: 1, text: "", isOurs: false }, ...bars],
    });
  }
  for (const name of ["read", "append", "page"] as const) {
    const bars = growing(measured).map(({ title, growth }) => {
      const value = cost(growth, name);
      return { label: title, value, text: `${ratio(value)}, ${time(growth[name].many.p50)}`, isOurs: true };
    });
    panels.push({
      title: `${capitalized(growths[name])}: 100,000 compared with 100 (ratio of cost, p50)`,
      bars: [{ label: "at 100", value: 1, text: "", isOurs: false }, ...bars],
    });
  }
  return plot(panels);
}
