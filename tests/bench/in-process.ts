/** CPU per token in one process, without sockets. */
import { type Child, startChild } from "./child.ts";
import type { Workload } from "./in-process-worker.ts";
import { shuffled } from "./statistics.ts";
import type { SubjectName } from "./subjects/index.ts";

const subjects = ["pass-through", "floor", "ours", "ours-0", "guide", "ai-sdk"] as const satisfies SubjectName[];

/** The length of an answer, and how many tokens arrive at once. */
interface Case {
  tokens: number;
  tokensPerRead: number;
}

const cases: readonly Case[] = [
  { tokens: 500, tokensPerRead: 1 },
  { tokens: 500, tokensPerRead: 8 },
  { tokens: 20_000, tokensPerRead: 1 },
  { tokens: 20_000, tokensPerRead: 8 },
];

/** The measurements of one case: for each subject, CPU in microseconds per token in each round. */
export interface InProcessResult extends Case {
  cpu: Record<(typeof subjects)[number], number[]>;
}

/** Rounds that are not counted: a server compiles its code within its first thousand turns, and runs for days. */
const warmUpRounds = 10;

/** Tokens of one measurement: enough for the resolution of the clock, and few enough for many rounds. */
const tokensPerSample = 60_000;

/**
 * Each subject has its own process for the whole run, so that code is not compiled for another subject's objects. Only one works at a
 * time. The rounds are interleaved: a slow second of the machine affects all subjects, and ratios are taken within a round.
 */
export async function measureInProcess(rounds: number, progress: (text: string) => void): Promise<InProcessResult[]> {
  const workers = new Map<string, Child<Workload, number>>();
  const results: InProcessResult[] = cases.map((one) => ({
    ...one,
    cpu: { "pass-through": [], floor: [], ours: [], "ours-0": [], guide: [], "ai-sdk": [] },
  }));
  try {
    for (const name of subjects) workers.set(name, startChild(new URL("./in-process-worker.ts", import.meta.url), [name]));
    for (let round = 1 - warmUpRounds; round <= rounds; round++) {
      progress(round > 0 ? `in process, round ${round} of ${rounds}` : "in process, warm-up");
      for (const { cpu, ...one } of results) {
        for (const name of shuffled(subjects)) {
          const perToken = await workers.get(name)!.ask({ ...one, turns: tokensPerSample / one.tokens });
          if (round > 0) cpu[name].push(perToken);
        }
      }
    }
    return results;
  } finally {
    for (const worker of workers.values()) worker.stop();
  }
}
