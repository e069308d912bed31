/** A clock that misleads: whoever orders by it is found out. */
import { someTime } from "./samples.ts";

/**
 * Makes one call after the other, each begun while this process's `Date.now()` gives the next of the times (in seconds past
 * some hour). The clock is right again before anything else runs: other cases may run meanwhile, and a call may never settle.
 */
export async function withClock(times: readonly number[], call: (index: number) => Promise<unknown>): Promise<void> {
  for (const [index, time] of times.entries()) await at(someTime + time * 1_000, () => call(index));
}

function at<T>(time: number, begin: () => T): T {
  const { now } = Date;
  Date.now = () => time;
  try {
    return begin();
  } finally {
    Date.now = now;
  }
}
