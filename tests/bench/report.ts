/** The measurements as the page `docs/benchmark.md` and its plot. */
import { cpus } from "node:os";
import type { InProcessResult } from "./in-process.ts";
import { table } from "./markdown.ts";
import { type Bar, plot } from "./plot.ts";
import type { SocketResult, SocketRun, SocketSample } from "./sockets.ts";
import { median, medianRatio } from "./statistics.ts";
import { type SubjectName, titles } from "./subjects/index.ts";
import { caseTitle, inProcessTargets, isReached, loadTitle, socketTargets, type Target } from "./targets.ts";

/** All of a run. */
export interface Measurements {
  inProcess: InProcessResult[];
  sockets: SocketRun[];
}

const ratio = (value: number) => `${value.toFixed(2)}×`;
const microseconds = (value: number) => `${value.toFixed(value < 10 ? 2 : 1)} µs`;
const milliseconds = (value: number) => `${value.toFixed(0)} ms`;
const kilobytes = (value: number) => `${(value / 1000).toFixed(0)} kB`;

/** Every target with what was measured. */
export const allTargets = ({ inProcess, sockets }: Measurements): Target[] => [
  ...inProcess.flatMap(inProcessTargets),
  ...sockets.flatMap(socketTargets),
];

const targetsTable = (measurements: Measurements) =>
  table(
    ["target", "where", "bound", "measured", "reached"],
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
    ["CPU a token (to the floor)", ...results.map(caseTitle)],
    names.map((name) => [
      titles[name],
      ...results.map(({ cpu }) => `${microseconds(median(cpu[name]))} (${ratio(medianRatio(cpu[name], cpu.floor))})`),
    ]),
  );
}

function socketTable({ results }: SocketRun): string {
  const base = results.get("pass-through")!;
  return table(
    ["", "CPU a token", "first byte, median / p95", "delay of text, median / p95", "memory in use a stream", "resident a stream"],
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

/** The tables alone, for the terminal. */
export const tables = (measurements: Measurements): string =>
  [
    inProcessTable(measurements.inProcess),
    ...measurements.sockets.map((run) => `${loadTitle(run.load)}\n\n${socketTable(run)}`),
    targetsTable(measurements),
  ].join("\n\n");

/** The page for the docs. `versions` says what was measured, for example `openai 7.57.0`. */
export function page(measurements: Measurements, versions: readonly string[]): string {
  const { inProcess, sockets } = measurements;
  return `# What a turn costs

\`npm run bench\` wrote this page and measured everything on it in one run: Node ${process.versions.node}, ${versions.join(", ")}, on
${cpus().length} cores of ${cpus()[0]?.model.trim() ?? "an unknown processor"}. Single times depend on the machine and on what else it
does; the ratios hold up, for the subjects take turns, in another order each round, and each ratio is the median of ratios taken
within a round.

![CPU and memory of chat-handler beside the other routes](images/benchmark.svg)

- The **pass-through** hands the model's bytes on unread: what any proxy costs.
- The **hand-written floor** decodes the SSE, parses each chunk and encodes its text. It checks nothing, stores nothing and trusts
  everything.
- **chat-handler** is \`createChatHandler\` over the \`openai\` client and \`createMemoryStore()\`, all else by default.
- **The guide's route** iterates the same client through \`@crayonai/stream\` and stores in \`onEnd\`, in an object.
- **AI SDK** is \`streamText\` over \`@ai-sdk/openai-compatible\`, answered as a text stream, stored in an object.

## Targets

${targetsTable(measurements)}

## In one process, without sockets

CPU time of a process that does nothing else, divided by the tokens: garbage collection and compilation are in it. The model's
answer is prepared, so it is there whenever it is read, and the response is read to its end. Each subject has a process of its own.

${inProcessTable(inProcess)}

A model without delay is kind to the flush interval: within 50 ms much text comes together. With \`flushInterval: 0\` each read of the
model is written by itself, as the floor does it.

## Over sockets

Model, server and clients are three processes. CPU is the server's, from the first request to the last byte, the opening of its
connections included. The delay of text is from the moment the model sends a token to the moment the client has it. Memory is what
the server grew by while all streams were open, divided by their number: what is in use after a garbage collection, and what the
process holds from the system. The latter says little where streams are few: V8 sets up to 48 MB aside for young objects, whatever the
load. All subjects are served by \`@hono/node-server\`.

Of a process that falls behind, CPU a token says little, and no core hands on the 75,000 tokens a second of 1,500 streams that all speak
at once at the pace of a model. So many streams are silent most of the time, as are models that think, wait or call tools: each has
bursts of 20 tokens, 5.6 seconds apart, 5,000 tokens a second in all, which leaves every subject but the AI SDK time to spare. The last
load has as many tokens, but drop by drop: slower than any model, so that nothing can be written together, and what a token costs at
worst shows.

${sockets.map((run) => `### ${loadTitle(run.load)}\n\n${socketTable(run)}`).join("\n\n")}

The flush interval trades writes for delay: after the first text, which is sent at once, text waits at most that long for more.
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
      title: `CPU a token in one process, ${caseTitle(result)}`,
      bars: (Object.keys(result.cpu) as (keyof typeof result.cpu)[]).map((name) =>
        bar(name, median(result.cpu[name]), microseconds(median(result.cpu[name]))),
      ),
    }));
  const socketPanels = sockets.flatMap(({ load, results }) => {
    const bars = (value: (result: SocketResult) => number, format: (value: number) => string) =>
      [...results].map(([name, result]) => bar(name, value(result), format(value(result))));
    return [
      {
        title: `CPU a token over sockets, ${loadTitle(load)}`,
        bars: bars(({ samples }) => median(samples.map(({ cpu }) => cpu)), microseconds),
      },
      { title: `Memory in use a stream, ${loadTitle(load)}`, bars: bars(({ memory }) => memory.inUse, kilobytes) },
    ];
  });
  return plot([...inProcessPanels, ...socketPanels]);
}
