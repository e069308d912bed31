/** A clock that misleads, to find stores that order by it. */
import { someTime } from "./samples.ts";

/** The clock belongs to the whole process, where other cases may run at the same time: only one has it at a time. */
let lastUse: Promise<unknown> = Promise.resolve();

function alone<T>(work: () => Promise<T>): Promise<T> {
  const use = lastUse.then(work);
  lastUse = use.catch(() => {});
  return use;
}

/** Longest time for which a call keeps the clock wrong, in milliseconds: it may never settle. */
const longestCall = 5_000;

/**
 * Makes one call after the other, each while the clock of this process (`Date.now()` and `new Date()`) shows the next of the times,
 * in seconds after some hour. The clock stays wrong until the call settles: a store may look at it after it has waited for a lock.
 */
export async function withClock(times: readonly number[], call: (index: number) => Promise<unknown>): Promise<void> {
  for (const [index, time] of times.entries()) await alone(() => at(someTime + time * 1_000, () => call(index)));
}

/** Runs the work while no other case changes the clock. */
export const withRightClock = (work: () => Promise<void>): Promise<void> => alone(work);

async function at(time: number, call: () => Promise<unknown>): Promise<void> {
  const RealDate = Date;
  globalThis.Date = class extends RealDate {
    constructor(...args: ConstructorParameters<typeof Date> | []) {
      if (args.length === 0) super(time);
      else super(...(args as [number]));
    }
    static override now = () => time;
  } as DateConstructor;
  let timer: ReturnType<typeof setTimeout> | undefined;
  try {
    const tooLong = new Promise((resolve) => (timer = setTimeout(resolve, longestCall)));
    const running = call();
    await Promise.race([running, tooLong]);
    globalThis.Date = RealDate;
    await running;
  } finally {
    clearTimeout(timer);
    globalThis.Date = RealDate;
  }
}
