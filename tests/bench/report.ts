/** The measurements as the page `docs/benchmark.md` and its plot. */
import { cpus } from "node:os";
import type { InProcessResult } from "./in-process.ts";
import { table } from "./markdown.ts";
import { type Bar, plot } from "./plot.ts";
import type { SocketResult, SocketRun, SocketSample } from "./sockets.ts";
import { median, medianRatio } from "./statistics.ts";
import { type SubjectName, titles } from "./subjects/index.ts";
import { caseTitle, inProcessTargets, isReached, loadTitle, socketTargets, type Target } from "./targets.ts";

/** All results of a run. */
export interface Measurements {
  inProcess: InProcessResult[];
  sockets: SocketRun[];
}

const ratio = (value: number) => `${value.toFixed(2)}×`;
const microseconds = (value: number) => `${value.toFixed(value < 10 ? 2 : 1)} µs`;
const milliseconds = (value: number) => `${value.toFixed(0)} ms`;
const kilobytes = (value: number) => `${(value / 1000).toFixed(0)} kB`;

/** Every target with its measured value. */
export const allTargets = ({ inProcess, sockets }: Measurements): Target[] => [
  ...inProcess.flatMap(inProcessTargets),
  ...sockets.flatMap(socketTargets),
];

const targetsTable = (measurements: Measurements) =>
  table(
    ["ratio", "load", "target", "measured", "reached"],
    allTargets(measurements).map((target) => [
      target.what,
      target.where,
      `${target.isMost ? "≤" : "≥"} ${ratio(target.bound)}`,
      ratio(target.ratio),
      isReached(target) ? "yes" : "no",
    ]),
  );

function inProcessTable(results: readonly InProcessResult[]): string {
  const names = Object.keys(results[0]?.cpu ?? {}) as (keyof InProcessResult["cpu"])[];
  return table(
    ["CPU per token (ratio to the floor)", ...results.map(caseTitle)],
    names.map((name) => [
      titles[name],
      ...results.map(({ cpu }) => `${microseconds(median(cpu[name]))} (${ratio(medianRatio(cpu[name], cpu.floor))})`),
    ]),
  );
}

function socketTable({ results }: SocketRun): string {
  const base = results.get("pass-through")!;
  return table(
    ["", "CPU per token", "first byte, median / p95", "delay of text, median / p95", "memory in use per stream", "resident per stream"],
    [...results].map(([name, { samples, memory }]) => {
      const of = (pick: (sample: SocketSample) => number) => median(samples.map(pick));
      const cpus = ({ samples }: SocketResult) => samples.map(({ cpu }) => cpu);
      return [
        titles[name],
        `${microseconds(of(({ cpu }) => cpu))} (${ratio(medianRatio(cpus({ samples, memory }), cpus(base)))})`,
        `${milliseconds(of(({ firstByte }) => firstByte.median))} / ${milliseconds(of(({ firstByte }) => firstByte.p95))}`,
        `${milliseconds(of(({ delay }) => delay.median))} / ${milliseconds(of(({ delay }) => delay.p95))}`,
        `${kilobytes(memory.inUse)} (${ratio(memory.inUse / base.memory.inUse)})`,
        `${kilobytes(memory.resident)} (${ratio(memory.resident / base.memory.resident)})`,
      ];
    }),
  );
}

/** Only the tables, for the terminal. */
export const tables = (measurements: Measurements): string =>
  [
    inProcessTable(measurements.inProcess),
    ...measurements.sockets.map((run) => `${loadTitle(run.load)}\n\n${socketTable(run)}`),
    targetsTable(measurements),
  ].join("\n\n");

/** The page for the docs. `versions` are the measured packages, for example `openai 7.57.0`. */
export function page(measurements: Measurements, versions: readonly string[]): string {
  const { inProcess, sockets } = measurements;
  return `# What a turn costs

\`npm run bench\` wrote this page and measured everything on it in one run: Node ${process.versions.node}, ${versions.join(", ")}, on
${cpus().length} cores of ${cpus()[0]?.model.trim() ?? "an unknown processor"}. Single times depend on the machine and on what else it
does. The ratios are reliable: the subjects take turns in a random order, and each ratio is the median of the ratios within a round.

![CPU and memory of chat-handler and the other routes](images/benchmark.svg)

- The **pass-through** forwards the model's bytes without reading them. Any proxy costs this.
- The **hand-written floor** decodes the SSE, parses each chunk and encodes its text. It validates and stores nothing.
- **chat-handler** is \`createChatHandler\` with the \`openai\` client, \`createMemoryStore()\` and the default options.
- **The guide's route** iterates the same client with \`@crayonai/stream\`, and stores in an object in \`onEnd\`.
- **AI SDK** is \`streamText\` with \`@ai-sdk/openai-compatible\`. It responds with a text stream and stores in an object.

## Targets

${targetsTable(measurements)}

## In one process, without sockets

CPU time of the whole process divided by the number of tokens, including garbage collection. The model's answer is prepared in memory, and
the response is read to its end. Each subject has its own process, which has warmed up.

${inProcessTable(inProcess)}

A model without delay favors the flush interval, because much text arrives within it and is written together. With \`flushInterval: 0\`
each read of the model is written separately, as the floor does.

## Over sockets

Model, server and clients are three processes. All subjects run on \`@hono/node-server\`.

- **CPU** is the server's, from the first request to the last byte, including new connections. With 200 streams it is the median of five rounds, with 1,500 of three.
- **Delay of text** is the time from the model sending a token to the client receiving it.
- **Memory** is the growth of the server while at least 1,000 streams are open, divided by their number. *In use* is measured after a garbage
  collection. *Resident* is what the process holds from the system.

CPU per token says little about a process that falls behind, and no core can forward the 75,000 tokens per second of 1,500 streams that
are all active at the pace of a model. So these streams are idle most of the time, like models that think, wait or call tools. Each has
bursts of 20 tokens, 5.6 seconds apart. That is 5,000 tokens per second in all, which these three subjects can handle. The last load has as many tokens, but one at a time. It is slower than any model, so no two tokens are written together. This is the worst
case per token.

${sockets.map((run) => `### ${loadTitle(run.load)}\n\n${socketTable(run)}`).join("\n\n")}

The flush interval trades writes for delay. The first text is sent at once. Later text waits at most that long for more.
`;
}

/** The plot of the page. */
export function pagePlot({ inProcess, sockets }: Measurements): Promise<string> {
  const bar = (name: SubjectName, value: number, text: string): Bar => ({
    label: titles[name],
    value,
    text,
    isOurs: name.startsWith("ours"),
  });
  const inProcessPanels = inProcess
    .filter(({ tokensPerRead }) => tokensPerRead === 1)
    .map((result) => ({
      title: `CPU per token in one process, ${caseTitle(result)}`,
      bars: (Object.keys(result.cpu) as (keyof typeof result.cpu)[]).map((name) =>
        bar(name, median(result.cpu[name]), microseconds(median(result.cpu[name]))),
      ),
    }));
  const socketPanels = sockets.flatMap(({ load, results }) => {
    const bars = (value: (result: SocketResult) => number, format: (value: number) => string) =>
      [...results].map(([name, result]) => bar(name, value(result), format(value(result))));
    return [
      {
        title: `CPU per token over sockets, ${loadTitle(load)}`,
        bars: bars(({ samples }) => median(samples.map(({ cpu }) => cpu)), microseconds),
      },
      { title: `Memory in use per stream, ${loadTitle(load)}`, bars: bars(({ memory }) => memory.inUse, kilobytes) },
    ];
  });
  return plot([...inProcessPanels, ...socketPanels]);
}
