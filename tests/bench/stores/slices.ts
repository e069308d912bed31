/** Runs operations in turns, in small slices, so that a slow machine affects all of them. */
import { quantile, shuffled } from "../statistics.ts";

/** An operation to measure. */
export interface Task {
  /** Runs it once. */
  run(lane: number): unknown;
  /** Runs before each call and is not counted. Not possible with several lanes. */
  before?(): unknown;
  /** Number of calls at the same time. @default 1 */
  lanes?: number;
  /** Most calls of each lane in a slice. @default as many as the time allows */
  maxCalls?: number;
}

/** How long to measure. */
export interface Slices {
  count: number;
  milliseconds: number;
}

/** The measurements of an operation. */
export interface Timed {
  /** Calls per second in each slice. */
  rates: number[];
  /** Latency of single calls in milliseconds. */
  p50: number;
  p99: number;
}

/** Slices that are not counted: they compile the code and read the pages. */
const warmUps = 2;

/** Measures all operations, in a random order each time. */
export async function runInTurns<Name extends string>(tasks: Record<Name, Task>, slices: Slices): Promise<Record<Name, Timed>> {
  const names = Object.keys(tasks) as Name[];
  const rates = new Map(names.map((name) => [name, [] as number[]]));
  const latencies = new Map(names.map((name) => [name, [] as number[]]));
  for (let slice = 0; slice < slices.count + warmUps; slice++) {
    for (const name of shuffled(names)) {
      const one = await runSlice(tasks[name], slices.milliseconds);
      if (slice < warmUps) continue;
      rates.get(name)!.push(one.rate);
      for (const latency of one.latencies) latencies.get(name)!.push(latency);
    }
  }
  const timed = names.map((name) => {
    const all = latencies.get(name)!;
    return [name, { rates: rates.get(name)!, p50: quantile(all, 0.5), p99: quantile(all, 0.99) }];
  });
  return Object.fromEntries(timed) as Record<Name, Timed>;
}

async function runSlice({ run, before, lanes = 1, maxCalls = Infinity }: Task, milliseconds: number) {
  const latencies: number[] = [];
  const begin = performance.now();
  const deadline = begin + milliseconds;
  let uncounted = 0;
  const go = async (lane: number): Promise<void> => {
    let now = performance.now();
    for (let done = 0; done < maxCalls && now < deadline; done++) {
      if (before) {
        const since = now;
        await before();
        now = performance.now();
        uncounted += now - since;
      }
      const since = now;
      await run(lane);
      now = performance.now();
      latencies.push(now - since);
    }
  };
  await Promise.all(Array.from({ length: lanes }, (_, lane) => go(lane)));
  return { rate: (1000 * latencies.length) / (performance.now() - begin - uncounted), latencies };
}
