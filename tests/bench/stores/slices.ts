/** Doing two things by turns, in small slices: what slows the machine down meets both. */
import { quantile, shuffled } from "../statistics.ts";

/** How something is done. */
export interface Way {
  /** Does it once. */
  run(lane: number): unknown;
  /** Is done before it each time, and not counted. Not with several lanes. */
  before?(): unknown;
  /** How many are under way at once. @default 1 */
  lanes?: number;
  /** How many each lane does in a slice. @default as many as there is time for */
  most?: number;
}

/** How long to go on. */
export interface Slices {
  count: number;
  milliseconds: number;
}

/** What it took. */
export interface Timed {
  /** How many a second, in each slice. */
  rates: number[];
  /** Of single ones, in milliseconds. */
  p50: number;
  p99: number;
}

/** Slices before those that count: code is compiled, pages are read. */
const warmUps = 2;

/** Measures all ways, in another order each time. */
export async function takeTurns<Name extends string>(ways: Record<Name, Way>, slices: Slices): Promise<Record<Name, Timed>> {
  const names = Object.keys(ways) as Name[];
  const rates = new Map(names.map((name) => [name, [] as number[]]));
  const latencies = new Map(names.map((name) => [name, [] as number[]]));
  for (let slice = 0; slice < slices.count + warmUps; slice++) {
    for (const name of shuffled(names)) {
      const one = await runSlice(ways[name], slices.milliseconds);
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

async function runSlice({ run, before, lanes = 1, most = Infinity }: Way, milliseconds: number) {
  const latencies: number[] = [];
  const begin = performance.now();
  const deadline = begin + milliseconds;
  let uncounted = 0;
  const go = async (lane: number): Promise<void> => {
    let now = performance.now();
    for (let done = 0; done < most && now < deadline; done++) {
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
