/** A clock that misleads: whoever orders by it is found out. */
import { someTime } from "./samples.ts";

/**
 * Makes one call after the other, each while this process's `Date.now()` gives the next of the times (in seconds past some
 * hour). A store that asks a database's clock does not notice.
 */
export async function withClock(times: readonly number[], call: (index: number) => Promise<unknown>): Promise<void> {
  const { now } = Date;
  try {
    for (const [index, time] of times.entries()) {
      Date.now = () => someTime + time * 1_000;
      await call(index);
    }
  } finally {
    Date.now = now;
  }
}
