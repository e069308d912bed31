/** A clock that misleads, to find stores that order by it. */
import { someTime } from "./samples.ts";

/**
 * Makes one call after the other, each begun while the clock of this process (`Date.now()` and `new Date()`) shows the next of the
 * times, in seconds after some hour. The clock is right again before anything else runs: other cases may run at the same time,
 * and a call may never settle.
 */
export async function withClock(times: readonly number[], call: (index: number) => Promise<unknown>): Promise<void> {
  for (const [index, time] of times.entries()) await at(someTime + time * 1_000, () => call(index));
}

function at<T>(time: number, begin: () => T): T {
  const RealDate = Date;
  globalThis.Date = class extends RealDate {
    constructor(...args: ConstructorParameters<typeof Date> | []) {
      if (args.length === 0) super(time);
      else super(...(args as [number]));
    }
    static override now = () => time;
  } as DateConstructor;
  try {
    return begin();
  } finally {
    globalThis.Date = RealDate;
  }
}
