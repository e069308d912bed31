/** Time in the cases. They wait for an expiry, and judge what must hold before it by the time that has passed at most. */
import { Mismatch } from "../expect.ts";

export interface CaseClock {
  /** Lets this many milliseconds pass. */
  wait(ms: number): Promise<void>;
  /** Milliseconds since some moment. */
  now(): number;
}

/** The clock of a case: the real one, or one that `advance` sets forward. */
export function createClock(advance: ((ms: number) => Promise<void>) | undefined): CaseClock {
  let time = 0;
  if (!advance) return { wait: (ms) => new Promise((resolve) => setTimeout(resolve, ms)), now: () => performance.now() };
  return {
    async wait(ms) {
      time += ms;
      await advance(ms);
    },
    // The clock that `advance` sets forward may also run by itself.
    now: () => time + performance.now(),
  };
}

/** The machine was too slow to judge a round. */
class TooSlow extends Error {}

const shortest = 300;
const longest = 5_000;

/**
 * Plays a round with a short lease or retention. If the machine was too slow for it, plays another one with twice the time: slowness costs time,
 * and never fails a case.
 *
 * @param play - Plays a round. It receives the time in milliseconds, and a thread id of its own.
 */
export async function withShortTime(play: (ms: number, threadId: string) => Promise<void>): Promise<void> {
  for (let ms = shortest, round = 1; ; ms = Math.min(ms * 2, longest), round++) {
    try {
      return await play(ms, `thread ${round}`);
    } catch (error) {
      if (!(error instanceof TooSlow)) throw error;
    }
  }
}

/** A moment, and for how long after it something must hold. */
interface Period {
  clock: CaseClock;
  since: number;
  ms: number;
}

/** Fails unless the condition holds. Begins another round if the period is over, because then it need not hold any more. */
export function expectWithin(condition: boolean, period: Period, otherwise: string): void {
  if (condition) return;
  requireSpeed(period);
  throw new Mismatch(otherwise);
}

/** Begins another round if the period is over. */
export function requireSpeed({ clock, since, ms }: Period): void {
  // The clocks of two machines do not run equally fast.
  if (clock.now() - since >= ms * 0.9) throw new TooSlow();
}
