/**
 * `npm run bench`: compares the cost of a turn with other routes. Prints tables, and writes `docs/benchmark.md` with its plot.
 *
 * `--quick` takes a minute or two and writes nothing. `--check` fails if a target is missed by more than a fifth.
 */
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { parseArgs } from "node:util";
import { measureInProcess } from "./in-process.ts";
import { allTargets, page, pagePlot, tables } from "./report.ts";
import type { Load } from "./load.ts";
import { measureSockets, type SocketPlan, type SocketRun } from "./sockets.ts";
import type { SubjectName } from "./subjects/index.ts";
import { isReached } from "./targets.ts";

const slack = 0.2;

const { quick, check } = parseArgs({
  options: { quick: { type: "boolean", default: false }, check: { type: "boolean", default: false } },
}).values;

const few: SubjectName[] = ["pass-through", "floor", "ours", "guide", "ai-sdk"];
const all: SubjectName[] = ["pass-through", "floor", "ours-0", "ours", "guide", "ai-sdk"];
const steady: Load = { streams: 200, tokens: 200, interval: 20, burst: 1, pause: 0, spread: 2_000 };
/**
 * The same pace with pauses, and half as many tokens per second in all. If only one subject fell behind, CPU per token would compare a
 * full queue with an empty one.
 */
const crowded: Load = { streams: 1_500, tokens: 100, interval: 20, burst: 20, pause: 5_600, spread: 15_000 };
/** As many tokens per second, but one at a time: slower than any model, so that no two tokens are written together. */
const dripping: Load = { ...crowded, interval: 300, burst: 1, pause: 0 };

const plan: { rounds: number; sockets: SocketPlan[] } = quick
  ? { rounds: 3, sockets: [{ subjects: few, load: { ...steady, tokens: 75, spread: 1_000 }, rounds: 1, warmUpTurns: 300 }] }
  : {
      rounds: 10,
      sockets: [
        { subjects: all, load: steady, rounds: 5, warmUpTurns: 1_000 },
        { subjects: ["pass-through", "floor", "ours"], load: crowded, rounds: 3, warmUpTurns: 1_000 },
        { subjects: ["pass-through", "floor", "ours"], load: dripping, rounds: 3, warmUpTurns: 1_000 },
      ],
    };

const progress = (text: string) => console.error(`  ${text}`);

async function versionOf(name: string): Promise<string> {
  const { version } = JSON.parse(await readFile(new URL(`../../node_modules/${name}/package.json`, import.meta.url), "utf8")) as {
    version: string;
  };
  return `${name} ${version}`;
}

const inProcess = await measureInProcess(plan.rounds, progress);
const sockets: SocketRun[] = [];
for (const one of plan.sockets) sockets.push(await measureSockets(one, progress));
const measurements = { inProcess, sockets };

console.log(`\n${tables(measurements)}`);

if (!quick) {
  const docs = new URL("../../docs/", import.meta.url);
  const versions = await Promise.all(["openai", "@crayonai/stream", "ai", "@ai-sdk/openai-compatible", "@hono/node-server"].map(versionOf));
  await mkdir(new URL("images/", docs), { recursive: true });
  await writeFile(new URL("benchmark.md", docs), page(measurements, versions));
  await writeFile(new URL("images/benchmark.svg", docs), await pagePlot(measurements));
}

const missed = allTargets(measurements).filter((target) => !isReached(target, slack));
if (check && missed.length > 0) {
  console.error(`${missed.length} targets are missed by more than ${slack * 100} %. The tables above show which.`);
  process.exitCode = 1;
}
