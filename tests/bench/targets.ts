/** What the library sets itself, and whether a run reached it. */
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

/** What one case of the measurements without sockets must reach. */
export function inProcessTargets(result: InProcessResult): Target[] {
  const { tokens, cpu } = result;
  const where = caseTitle(result);
  return [
    most("CPU, chat-handler to the hand-written floor", where, medianRatio(cpu.ours, cpu.floor), tokens > 1_000 ? 1.25 : 1.5),
    least("CPU, the guide's route to chat-handler", where, medianRatio(cpu.guide, cpu.ours), 2.5),
    least("CPU, AI SDK to chat-handler", where, medianRatio(cpu["ai-sdk"], cpu.ours), 7),
  ];
}

/** What one load over sockets must reach. */
export function socketTargets({ load, results }: SocketRun): Target[] {
  const where = loadTitle(load);
  const [ours, base] = [results.get("ours")!, results.get("pass-through")!];
  const cpu = ({ samples }: SocketResult) => samples.map(({ cpu }) => cpu);
  const targets = [
    most("CPU, chat-handler to a pass-through", where, medianRatio(cpu(ours), cpu(base)), 1.35),
    most("memory in use a stream, chat-handler to a pass-through", where, ours.memory.inUse / base.memory.inUse, 1.4),
  ];
  // What V8 sets aside for young objects, up to 48 MB whatever the load, is most of what few streams seem to hold.
  if (load.streams >= 1_000) {
    targets.push(most("resident memory a stream, chat-handler to a pass-through", where, ours.memory.resident / base.memory.resident, 1.4));
  }
  return targets;
}

export const caseTitle = ({ tokens, tokensPerRead }: InProcessResult): string => `${count(tokens)} tokens, ${tokensPerRead} a read`;

export const loadTitle = ({ streams, interval, burst }: Load): string =>
  `${count(streams)} streams, ${burst > 1 ? `bursts of ${burst} tokens` : "a token"} every ${interval} ms`;

/** 20000 as 20,000. */
export const count = (value: number): string => value.toLocaleString("en-US");
