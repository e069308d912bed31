/** The targets of the library, and whether a run reached them. */
import type { InProcessResult } from "./in-process.ts";
import type { Load } from "./load.ts";
import type { SocketResult, SocketRun } from "./sockets.ts";
import { medianRatio } from "./statistics.ts";

/** A ratio and its bound. */
export interface Target {
  what: string;
  where: string;
  ratio: number;
  /** At most or at least this. */
  bound: number;
  isMost: boolean;
}

/** Whether the target is reached, or missed by no more than the share `slack` of it. */
export function isReached({ ratio, bound, isMost }: Target, slack = 0): boolean {
  return isMost ? ratio <= bound * (1 + slack) : ratio >= bound * (1 - slack);
}

const most = (what: string, where: string, ratio: number, bound: number): Target => ({ what, where, ratio, bound, isMost: true });
const least = (what: string, where: string, ratio: number, bound: number): Target => ({ what, where, ratio, bound, isMost: false });

/** The targets of one case without sockets. */
export function inProcessTargets(result: InProcessResult): Target[] {
  const { tokens, cpu } = result;
  const where = caseTitle(result);
  return [
    most("CPU: chat-handler / hand-written floor", where, medianRatio(cpu.ours, cpu.floor), tokens > 1_000 ? 1.25 : 1.5),
    least("CPU: the guide's route / chat-handler", where, medianRatio(cpu.guide, cpu.ours), 2.5),
    least("CPU: AI SDK / chat-handler", where, medianRatio(cpu["ai-sdk"], cpu.ours), 7),
  ];
}

/** Of an open stream, to that of a pass-through. */
const maxMemory = 1.45;

/** The targets of one load over sockets. Many streams may cost a little more, because each of them is mostly idle. */
export function socketTargets({ load, results }: SocketRun): Target[] {
  const where = loadTitle(load);
  const [ours, base] = [results.get("ours")!, results.get("pass-through")!];
  const cpu = ({ samples }: SocketResult) => samples.map(({ cpu }) => cpu);
  const maxCpu = load.streams >= 1_000 ? 1.5 : 1.35;
  return [
    most("CPU: chat-handler / pass-through", where, medianRatio(cpu(ours), cpu(base)), maxCpu),
    most("memory in use: chat-handler / pass-through", where, ours.memory.inUse / base.memory.inUse, maxMemory),
    most("resident memory: chat-handler / pass-through", where, ours.memory.resident / base.memory.resident, maxMemory),
  ];
}

export const caseTitle = ({ tokens, tokensPerRead }: InProcessResult): string => `${count(tokens)} tokens, ${tokensPerRead} per read`;

export const loadTitle = ({ streams, interval, burst }: Load): string =>
  `${count(streams)} streams, ${burst > 1 ? `bursts of ${burst} tokens` : "a token"} every ${interval} ms`;

/** Formats 20000 as `20,000`. */
export const count = (value: number): string => value.toLocaleString("en-US");
